from tests.contracts.support.fixtures import failure, send

__all__ = ["failure", "send"]
