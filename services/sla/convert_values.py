"""Times, ratios and money as protobuf: what every other conversion is made of."""

from decimal import Decimal
from fractions import Fraction

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from threenines.sla.v1 import sla_pb2

_LARGEST = (1 << 63) - 1
_NANOS = 10**9


def timestamp(ms: int) -> Timestamp:
    """Unix milliseconds as a Timestamp."""
    out = Timestamp()
    out.FromMilliseconds(ms)
    return out


def duration(ms: int) -> Duration:
    """Milliseconds as a Duration."""
    out = Duration()
    out.FromMilliseconds(ms)
    return out


def ratio_to_proto(share: Fraction | None) -> sla_pb2.Ratio:
    """A reduced fraction; denominator 0 for None. One that int64 cannot hold is rounded, for display only."""
    if share is None:
        return sla_pb2.Ratio()
    if max(abs(share.numerator), share.denominator) > _LARGEST:
        share = share.limit_denominator(10**18)
    return sla_pb2.Ratio(numerator=share.numerator, denominator=share.denominator)


def money_to_proto(amount: Decimal, currency: str) -> sla_pb2.Money:
    """An amount; it has at most nine decimals, as every amount that was rounded to a currency's."""
    nanos = int(amount * _NANOS)
    sign = -1 if nanos < 0 else 1
    units, rest = divmod(abs(nanos), _NANOS)
    return sla_pb2.Money(currency_code=currency, units=sign * units, nanos=sign * rest)
