"""FactorVAE on China's CSI 300 at the paper's sizes and with its loss alone: likelihood and divergence, no ranks.

Duan et al. (AAAI 2022): 20 days, H = 64, M = 128 portfolios, K = 96 factors.
"""

from configs.datasets import CSI300
from configs.recipes import CSI300_OPTIM
from encoders.factor_vae import FactorVAE

experiment = CSI300.pretrain("csi300_factor_vae_paper", FactorVAE(), CSI300_OPTIM)
