"""Other forecasting libraries, asked from an environment of their own.

`ask.peer_forecasts` is the way in: many panels and quantiles in, one frame of quantiles by method out. `serve` is what
runs on the other side; between the two lie Parquet files (`panel`). Modules that both sides import need numpy, pandas
and pyarrow alone.
"""
