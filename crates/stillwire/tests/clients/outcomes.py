"""What the cases of boto3 tests have in common."""

from botocore.exceptions import ClientError


def outcome(call, **arguments):
    """What an operation says, without what differs from run to run."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return [error.response["Error"]["Code"], status, error.response["Error"]["Message"]]
    return answer["ResponseMetadata"]["HTTPStatusCode"]
