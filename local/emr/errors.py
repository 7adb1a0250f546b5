"""What EMR answers when it refuses."""


class EmrError(Exception):
    """A refusal, with the code that a client sees."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> EmrError:
    """Make what the newer calls (DescribeCluster, CancelSteps) answer to a wrong request."""
    return EmrError("InvalidRequestException", message)


def validation(message: str) -> EmrError:
    """Make what the older calls (RunJobFlow, AddJobFlowSteps), and all for a malformed request, answer."""
    return EmrError("ValidationException", message)
