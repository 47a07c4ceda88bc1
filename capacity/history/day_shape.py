"""The shape of a service's ordinary day, from what each of its intervals brings."""

import math

import numpy as np
import pandas as pd

from capacity.history.clock import DAY_S


def day_shape(name: str, part: pd.DataFrame) -> pd.DataFrame:
    """Share of a day's requests in each minute or interval of it.

    Parameters
    ----------
    name : str
        Service.
    part : DataFrame
        slot, middle (median of days), pooled (mean of days), step_s and phase_s (width of a slot, and how long after
        midnight the first begins); slots that are absent are empty.

    Returns
    -------
    DataFrame
        service, minute_of_day, share; the shares add up to one.
    """
    step_s, phase_s = int(part["step_s"].iloc[0]), int(part["phase_s"].iloc[0])
    slots = part.set_index("slot")[["middle", "pooled"]].reindex(range(DAY_S // step_s), fill_value=0)
    middle, pooled = slots["middle"].to_numpy(dtype=float), slots["pooled"].to_numpy(dtype=float)
    # Where most slots of most days are empty the median is nothing, and the pooled share says more.
    share = middle if middle.sum() > 0.5 else pooled
    # Slots that do not begin at midnight are cut where the day is.
    fine_s = math.gcd(step_s, phase_s)
    share = np.roll(np.repeat(share, step_s // fine_s), phase_s // fine_s)
    minute = np.arange(len(share)) * fine_s // 60
    return pd.DataFrame({"service": name, "minute_of_day": minute, "share": share / max(share.sum(), 1e-300)})
