"""Prices: fills, marks, limits, money traded and the labels that follow from them; one home for each rule."""
