"""Names that become folders."""

NOT_IN_NAMES = '/\\:*?"<>|'
"""Path separators, and what Windows does not take."""


def check_folder_name(owner: str, name: str) -> None:
    """Refuses a name that would lead out of its folder, or that some system or terminal would not show as it is.

    Args:
        owner: Whose name it is, for the message.
        name: The name.

    Raises:
        ValueError: It is empty, starts with a dot, has blanks around it, or holds what `NOT_IN_NAMES` lists or control
            characters.
    """
    hidden = not name or name.startswith(".") or name != name.strip()
    if hidden or not name.isprintable() or any(letter in name for letter in NOT_IN_NAMES):
        raise ValueError(
            f"{owner}: name is {name!r}; it names a folder, so it starts with no dot and holds no path separators, "
            f"none of {NOT_IN_NAMES[2:]} and no control characters"
        )
