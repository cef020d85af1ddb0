from gymnasium import (
    make as make,
)
from gymnasium import (
    make_vec as make_vec,
)

from agents import (
    A2C as A2C,
)
from agents import (
    DQN as DQN,
)
from agents import (
    PPO as PPO,
)
from agents import (
    SAC as SAC,
)
from agents import (
    TD3 as TD3,
)
from agents import (
    BuyAndHold as BuyAndHold,
)
from agents import (
    ClassicalPolicy as ClassicalPolicy,
)
from agents import (
    EqualWeight as EqualWeight,
)
from agents import (
    MarketVecEnv as MarketVecEnv,
)
from agents import (
    TopKDropN as TopKDropN,
)
from agents import (
    TrainingConfig as TrainingConfig,
)
from agents import (
    load_agent as load_agent,
)
from configs.schema.evaluate import (
    Evaluate as Evaluate,
)
from configs.schema.prepare import (
    Prepare as Prepare,
)
from configs.schema.pretrain import (
    Pretrain as Pretrain,
)
from configs.schema.trade import (
    Trade as Trade,
)
from encoders import (
    GRU as GRU,
)
from encoders import (
    PCA as PCA,
)
from encoders import (
    VAE as VAE,
)
from encoders import (
    Encoder as Encoder,
)
from encoders import (
    EncoderConfig as EncoderConfig,
)
from encoders import (
    FactorVAE as FactorVAE,
)
from encoders import (
    FactorVQVAE as FactorVQVAE,
)
from encoders import (
    FactorVQVAEPredictor as FactorVQVAEPredictor,
)
from encoders import (
    LightGBM as LightGBM,
)
from encoders import (
    Optim as Optim,
)
from encoders import (
    Ridge as Ridge,
)
from encoders import (
    Storm as Storm,
)
from encoders.testing import (
    check_encoder as check_encoder,
)
from envs import (
    BatchMarket as BatchMarket,
)
from envs import (
    Costs as Costs,
)
from envs import (
    Episodes as Episodes,
)
from envs import (
    LogGrowth as LogGrowth,
)
from envs import (
    LongOnly as LongOnly,
)
from envs import (
    LongShort as LongShort,
)
from envs import (
    Position as Position,
)
from envs import (
    SellHoldBuy as SellHoldBuy,
)
from envs import (
    Tape as Tape,
)
from evaluation import (
    Backtest as Backtest,
)
from evaluation import (
    deflated_sharpe as deflated_sharpe,
)
from evaluation import (
    prediction_metrics as prediction_metrics,
)
from evaluation.performance import (
    performance as performance,
)
from evaluation.rollout import (
    rollout as rollout,
)
from market import (
    Alpha158 as Alpha158,
)
from market import (
    Alpha360 as Alpha360,
)
from market import (
    Bundled as Bundled,
)
from market import (
    CrossSectionalZScore as CrossSectionalZScore,
)
from market import (
    FactorMarket as FactorMarket,
)
from market import (
    Feature as Feature,
)
from market import (
    Formulas as Formulas,
)
from market import (
    Label as Label,
)
from market import (
    MarketStates as MarketStates,
)
from market import (
    Panel as Panel,
)
from market import (
    QlibStore as QlibStore,
)
from market import (
    RobustZScore as RobustZScore,
)
from market import (
    Rules as Rules,
)
from market import (
    Split as Split,
)
from market import (
    StormFeatures as StormFeatures,
)
from market import (
    Synthetic as Synthetic,
)
from market import (
    Tables as Tables,
)
from market import (
    YFinance as YFinance,
)
from market import (
    clean as clean,
)
from market import (
    feature as feature,
)
from market import (
    prepared as prepared,
)
from pipeline import (
    ablate as ablate,
)
from pipeline import (
    compare as compare,
)
from pipeline import (
    discover as discover,
)
from pipeline import (
    evaluate as evaluate,
)
from pipeline import (
    extract as extract,
)
from pipeline import (
    prepare as prepare,
)
from pipeline import (
    pretrain as pretrain,
)
from pipeline import (
    sweep as sweep,
)
from pipeline import (
    train as train,
)

__version__: str
from agents import (
    APG as APG,
)
from agents import (
    DifferentiableMarket as DifferentiableMarket,
)
from envs import (
    DifferentialSharpe as DifferentialSharpe,
)
from envs import (
    DrawdownPenalty as DrawdownPenalty,
)
from envs import (
    Excess as Excess,
)
from envs import (
    ExcessGrowth as ExcessGrowth,
)
from envs import (
    MarketRules as MarketRules,
)
from envs import (
    SectorLimit as SectorLimit,
)
from envs import (
    SimpleReturn as SimpleReturn,
)
from envs import (
    Step as Step,
)
from envs import (
    TargetLevels as TargetLevels,
)
from envs import (
    TargetWeights as TargetWeights,
)
from envs import (
    Templates as Templates,
)
from envs import (
    Tilt as Tilt,
)
from envs import (
    TurnoverPenalty as TurnoverPenalty,
)
