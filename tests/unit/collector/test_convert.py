"""Messages of the contract and our model."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.collector import convert
from services.collector.model import (
    PointCounts,
    StatusReport,
    StreamReport,
    TenantReport,
    TokenInfo,
    TokenPage,
)
from services.common.errors import InvalidArgument, NotBuilt
from threenines.collector.v1 import collector_pb2, collector_service_pb2


def test_the_whole_status() -> None:
    counts = PointCounts(
        received=9, rejected=1, acknowledged=8, logged=7, written=5, duplicate=2, dead_lettered=3
    )
    report = StatusReport(
        region="east",
        read_ns=3_000_000_001,
        since_ns=1,
        stream=StreamReport(
            "OTLP", 77, 20, 18, 9_500_000_000, 8_000_000_000, 1_500_000_000, 100, 200, counts, 4, 1
        ),
        tenants=(TenantReport("acme", counts, (("POINT_TOO_OLD", 1),), 5, 6),),
        store_reachable=True,
    )

    points = collector_pb2.PointCounts(
        received_count=9,
        rejected_count=1,
        acknowledged_count=8,
        logged_count=7,
        written_count=5,
        duplicate_count=2,
        dead_lettered_count=3,
    )
    assert convert.status_to_proto(report) == collector_service_pb2.GetStatusResponse(
        region="regions/east",
        read_time=Timestamp(seconds=3, nanos=1),
        count_start_time=Timestamp(nanos=1),
        streams=[
            collector_pb2.StreamStatus(
                stream="OTLP",
                incarnation="77",
                log_last_sequence=20,
                written_sequence=18,
                lag_record_count=2,
                lag=Duration(seconds=1, nanos=500_000_000),
                log_time=Timestamp(seconds=9, nanos=500_000_000),
                watermark_time=Timestamp(seconds=8),
                stored_bytes=100,
                limit_bytes=200,
                points=points,
                dead_letter_count=4,
                series_collision_count=1,
            )
        ],
        tenants=[
            collector_pb2.TenantStatus(
                tenant="tenants/acme",
                points=points,
                rejections=[collector_pb2.RejectionCount(reason="POINT_TOO_OLD", point_count=1)],
                lag=Duration(nanos=5),
                last_append_time=Timestamp(nanos=6),
            )
        ],
        store_reachable=True,
    )


def test_tokens() -> None:
    page = TokenPage(
        (TokenInfo("a" * 12, "acme", "writer", 5), TokenInfo("b" * 12, "acme", "admin", 6, True)), None
    )

    assert convert.token_page_to_proto(page) == collector_service_pb2.ListTokensResponse(
        tokens=[
            collector_pb2.Token(
                name=f"tenants/acme/tokens/{'a' * 12}",
                role=collector_pb2.TOKEN_ROLE_WRITER,
                create_time=Timestamp(nanos=5),
            ),
            collector_pb2.Token(
                name=f"tenants/acme/tokens/{'b' * 12}",
                role=collector_pb2.TOKEN_ROLE_ADMIN,
                revoke_time=Timestamp(nanos=6),
            ),
        ]
    )


def test_every_role_has_a_name_and_the_unspecified_one_has_none() -> None:
    names = [
        convert.role_from_proto(collector_pb2.Token(role=code)) for code in collector_pb2.TokenRole.values()
    ]

    assert names == ["", "writer", "reader", "operator", "auditor", "admin"]


def test_what_is_not_built_is_refused_and_not_forgotten() -> None:
    expiring = collector_pb2.Token(role=collector_pb2.TOKEN_ROLE_WRITER, expire_time=Timestamp(seconds=1))
    with pytest.raises(NotBuilt, match="expiring"):
        convert.role_from_proto(expiring)
    placed = collector_service_pb2.CreateTenantRequest(
        tenant_id="acme", tenant=collector_pb2.Tenant(residency_class="eu")
    )
    with pytest.raises(NotBuilt, match="residency"):
        convert.tenant_from_proto(placed)


@pytest.mark.parametrize("name", ["", "acme", "tenants/", "tenants/a/b", "tokens/a"])
def test_other_names_are_no_tenants(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        convert.tenant_from_name(name, field="parent")
    assert caught.value.field == "parent"


@pytest.mark.parametrize(
    "name", ["", "tenants/acme", "tenants/acme/tokens/", "tenants//tokens/x", "a/b/tokens/x"]
)
def test_other_names_are_no_tokens(name: str) -> None:
    with pytest.raises(InvalidArgument):
        convert.token_from_name(name)
