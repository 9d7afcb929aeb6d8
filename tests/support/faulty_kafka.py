"""librdkafka's built-in cluster as a broker that can be made to fail."""

import ctypes

from devstack.mock_kafka import MockCluster

HEARTBEAT, OFFSET_COMMIT, PRODUCE = 12, 8, 0  # API keys of the protocol
UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, NOT_ENOUGH_REPLICAS, MSG_SIZE_TOO_LARGE = 25, 27, 19, 10  # error codes
_ALL = -1


class FaultyCluster(MockCluster):
    def down(self) -> None:
        """Every broker stops answering."""
        self._function("rd_kafka_mock_broker_set_down", ctypes.c_int, ctypes.c_void_p, ctypes.c_int32)(
            self._cluster, _ALL
        )

    def up(self) -> None:
        self._function("rd_kafka_mock_broker_set_up", ctypes.c_int, ctypes.c_void_p, ctypes.c_int32)(
            self._cluster, _ALL
        )

    def fail(self, api: int, *errors: int) -> None:
        """The next requests of this API get these errors, one each."""
        array = (ctypes.c_int * len(errors))(*errors)
        push = self._function(
            "rd_kafka_mock_push_request_errors_array",
            None,
            ctypes.c_void_p,
            ctypes.c_int16,
            ctypes.c_size_t,
            ctypes.POINTER(ctypes.c_int),
        )
        push(self._cluster, api, len(errors), array)
