from tests.contracts.support.fixtures import bench, failure, send

__all__ = ["bench", "failure", "send"]
