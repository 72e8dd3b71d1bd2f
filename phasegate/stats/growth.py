"""How a time grows with the registered users: fixed + factor · N^power. Pure: numbers in and out.

A statement has a part that does not grow (round trips, planning, one user's own rows) and one that
does (the rows that it scans). Fitted by least squares of relative errors over a grid of powers,
neither part below zero (docs/method.md#crossover-n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# From a tenth, which nothing measured tells from a constant, to beyond the square of a nested loop.
POWERS = np.arange(0.1, 2.51, 0.05)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """One law per row of what was fitted; `fixed` and `factor` in the unit of the times.

    Attributes:
        fixed: shape (rows,).
        factor: at `largest` users; shape (rows,).
        power: shape (rows,).
        largest: number of users that N is divided by.
    """

    fixed: Array
    factor: Array
    power: Array
    largest: float

    def log_times(self, users: float) -> Array:
        """Logarithm of the time at so many users, for each row."""
        grown: Array = self.fixed + self.factor * (users / self.largest) ** self.power
        return np.log(grown)

    def log_users(self, time: float) -> Array:
        """Logarithm of the users at which each row's time is `time`; ±inf where it never is."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (time - self.fixed) / self.factor
            found: Array = np.log(self.largest) + np.log(np.maximum(share, 0.0)) / self.power
        return found


def fit(users: Array, log_times: Array, weights: Array) -> Law:
    """The law nearest to each row of times.

    With two sizes it goes through both where it can; with one it is constant.

    Args:
        users: ascending; shape (sizes,).
        log_times: finite; shape (rows, sizes).
        weights: of the sizes, as the calls behind them; shape (sizes,).
    """
    times = np.exp(log_times)
    grown = (users / users[-1]) ** POWERS[:, None]
    fixed, factor = _parts(grown, times, weights / times**2)
    fitted = np.log(fixed[:, :, None] + factor[:, :, None] * grown)
    missed = (weights * (fitted - log_times[:, None, :]) ** 2).sum(2)
    # The smallest power that is as near as any: where two sizes are fitted, all are.
    best = np.argmax(missed <= missed.min(1, keepdims=True) + 1e-12, axis=1)
    rows = np.arange(len(times))
    return Law(fixed[rows, best], factor[rows, best], POWERS[best], float(users[-1]))


def _parts(grown: Array, times: Array, relative: Array) -> tuple[Array, Array]:
    """Fixed part and factor by weighted least squares, neither below zero.

    Args:
        grown: shape (powers, sizes).
        times: shape (rows, sizes).
        relative: weights; shape (rows, sizes).

    Returns:
        Both of shape (rows, powers).
    """
    ones, first, second = relative.sum(1)[:, None], relative @ grown.T, relative @ (grown**2).T
    time, product = (relative * times).sum(1)[:, None], (relative * times) @ grown.T
    determinant = ones * second - first**2
    with np.errstate(divide="ignore", invalid="ignore"):
        fixed = (second * time - first * product) / determinant
        factor = (ones * product - first * time) / determinant
    without_fixed = ~(fixed >= 0) | (determinant <= 1e-12 * ones * second)
    fixed, factor = (
        np.where(without_fixed, 0.0, fixed),
        np.where(without_fixed, product / second, factor),
    )
    constant = factor < 0
    return np.where(constant, time / ones, fixed), np.where(constant, 0.0, factor)
