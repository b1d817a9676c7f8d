"""Values that do not fit, in the words of Go. What a real API server says of the same stands in `tests/acceptance`."""

from typing import Any

import pytest

from kedge.kube import decoding, fitting


@pytest.mark.parametrize(
    ("obj", "told"),
    [
        ({"spec": {"containers": [{"name": "c"}]}, "metadata": {"name": "p", "creationTimestamp": None}}, None),
        ({"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            {"spec": {"containers": [{"name": 5}], "restartPolicy": 5}},
            "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
        ),
        (
            {"spec": {"restartPolicy": True, "containers": 5}},
            "json: cannot unmarshal bool into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            {"metadata": {"name": 5}, "spec": {"overhead": {"cpu": "lots"}}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            {"spec": {"volumes": [{"emptyDir": {"medium": {}}}]}},
            (
                "json: cannot unmarshal object into Go struct field "
                "EmptyDirVolumeSource.spec.volumes.VolumeSource.emptyDir.medium of type v1.StorageMedium"
            ),
        ),
        (
            {"spec": {"activeDeadlineSeconds": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
    ],
)
def test_the_first_value_that_does_not_fit_is_told(obj: Any, told: str | None) -> None:
    unfit = decoding.first("Pod", obj)
    assert (unfit and unfit.decoded) == told


@pytest.mark.parametrize(
    ("word", "value", "told"),
    [
        ("time", "2026-01-02T03:04:05Z", None),
        ("time", "2024-02-29T3:04:05,25+01:00", None),
        ("time", "2023-02-29T03:04:05Z", 'parsing time "2023-02-29T03:04:05Z": day out of range'),
        ("time", "2026-01-02T25:04:05Z", 'parsing time "2026-01-02T25:04:05Z": hour out of range'),
        ("time", "2026-01-02T03:04:05Zx", 'parsing time "2026-01-02T03:04:05Zx": extra text: "x"'),
        ("microtime", "2026-01-02T03:04:05.123456Z", None),
        (
            "microtime",
            "2026-01-02T03:04:05Z",
            'parsing time "2026-01-02T03:04:05Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
        ),
        ("byte", "YW\nI=", None),
        ("byte", "YQ", "illegal base64 data at input byte 0"),
        ("byte", "YQ=", "illegal base64 data at input byte 3"),
        ("byte", "YW=j", "illegal base64 data at input byte 2"),
        ("byte", "é", "illegal base64 data at input byte 0"),
        ("quantity", "1e", "unable to parse quantity's suffix"),
        ("quantity", 1e30, None),
        ("int32", 2**31, ""),
        ("int32", True, ""),
        ("int64", 2**31, None),
        ("intorstr", "50%", None),
        ("intorstr", 2**31, ""),
    ],
)
def test_what_fits(word: str, value: Any, told: str | None) -> None:
    assert fitting.FITS[word](value) is (told is None)
    assert told is None or fitting.why(word, value) == told
