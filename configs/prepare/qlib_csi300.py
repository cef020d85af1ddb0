"""A public qlib store (~/.qlib/qlib_data/cn_data by convention) with point-in-time CSI 300 membership."""

from configs.schema.prepare import Prepare
from market.sources.qlib import QlibStore

experiment = Prepare(name="qlib_csi300", source=QlibStore(path="data/cn_data", instruments="csi300"))
