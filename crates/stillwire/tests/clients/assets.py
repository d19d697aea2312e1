"""What S3 keeps of what SDKs send, and how it says no. Prints all as JSON."""

import json
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, WHAT = sys.argv[1:3]
LARGE = 12 * 1024 * 1024


def client(account="999999999999"):
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="x",
        config=Config(signature_version="s3v4", retries={"max_attempts": 1}),
    )


def refusal(operation, **arguments):
    try:
        operation(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return [code, error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return "ok"


def text(s3, key, **more):
    return s3.get_object(Bucket="code", Key=key, **more)["Body"].read().decode()


def chunked(path, content):
    """Sends a content as aws-chunked with a checksum after it, as other SDKs do."""
    import base64, http.client, zlib

    checksum = base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
    body = b"".join(
        f"{len(content[i:i + 5]):x}\r\n".encode() + content[i : i + 5] + b"\r\n"
        for i in range(0, len(content), 5)
    )
    body += f"0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
    connection = http.client.HTTPConnection(ENDPOINT.split("://")[1])
    scope = "999999999999/20250101/us-east-1/s3/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(len(content)),
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    connection.request("PUT", path, body, headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()


def fill():
    s3, seen = client(), {}
    s3.create_bucket(Bucket="code")
    put = s3.put_object(
        Bucket="code", Key="b", Body=b"hello", ContentType="text/plain", Metadata={"who": "ada"}
    )
    got = s3.get_object(Bucket="code", Key="b")
    seen["plain"] = got["Body"].read().decode()
    seen["etag"], seen["type"] = put["ETag"], got["ContentType"]
    seen["metadata"] = got["Metadata"]
    seen["range"] = text(s3, "b", Range="bytes=1-3")
    with open("/dev/zero", "rb") as zeros:
        parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
        s3.upload_fileobj(Limited(zeros, LARGE), "code", "large", Config=parts)
    head = s3.head_object(Bucket="code", Key="large")
    seen["parts"], seen["parts etag"] = head["ContentLength"], head["ETag"].endswith('-2"')
    s3.copy_object(Bucket="code", Key="copy", CopySource={"Bucket": "code", "Key": "b"})
    seen["copy"] = text(s3, "copy")
    upload = s3.create_multipart_upload(Bucket="code", Key="copy")["UploadId"]
    part = s3.upload_part_copy(
        Bucket="code",
        Key="copy",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": "code", "Key": "b"},
        CopySourceRange="bytes=1-3",
    )["CopyPartResult"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="code", Key="copy", UploadId=upload, MultipartUpload=parts)
    seen["part copied"] = text(s3, "copy")
    for key in ("a/1", "a/2"):
        s3.put_object(Bucket="code", Key=key, Body=b"")
    listed = s3.list_objects_v2(Bucket="code")
    seen["keys"] = [one["Key"] for one in listed["Contents"]]
    listed = s3.list_objects_v2(Bucket="code", Delimiter="/")
    seen["folders"] = [one["Prefix"] for one in listed["CommonPrefixes"]]
    page = s3.list_objects_v2(Bucket="code", MaxKeys=2)
    seen["page"] = [one["Key"] for one in page["Contents"]]
    token = page["NextContinuationToken"]
    page = s3.list_objects_v2(Bucket="code", MaxKeys=2, ContinuationToken=token)
    seen["next"] = [one["Key"] for one in page["Contents"]]
    seen["checksums"] = {}
    for name in ("CRC32", "CRC32C", "SHA1", "SHA256"):
        try:
            put = s3.put_object(Bucket="code", Key="copy", Body=b"hello", ChecksumAlgorithm=name)
            seen["checksums"][name] = f"Checksum{name}" in put
        except Exception:  # this SDK has no CRC32C without a library
            seen["checksums"][name] = False
    wrong = "AAAAAA=="
    seen["bad digest"] = refusal(
        s3.put_object, Bucket="code", Key="copy", Body=b"other", ChecksumCRC32=wrong
    )
    seen["no key"] = refusal(s3.get_object, Bucket="code", Key="none")
    seen["no bucket"] = refusal(s3.get_object, Bucket="none", Key="none")
    seen["head"] = refusal(s3.head_object, Bucket="code", Key="none")[1]
    seen["not empty"] = refusal(s3.delete_bucket, Bucket="code")
    seen["once"] = refusal(s3.put_object, Bucket="code", Key="b", Body=b"x", IfNoneMatch="*")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "code", "Key": "b"})
    with urllib.request.urlopen(url) as answer:
        seen["presigned"] = answer.read().decode()
    staging = "cdk-hnb659fds-assets-999999999999-us-east-1"
    seen["staging"] = s3.list_objects_v2(Bucket=staging).get("Contents", [])
    seen["location"] = s3.get_bucket_location(Bucket=staging)["LocationConstraint"]
    seen["encryption"] = refusal(s3.get_bucket_encryption, Bucket="code")
    s3.put_bucket_versioning(Bucket="code", VersioningConfiguration={"Status": "Enabled"})
    seen["versioning"] = s3.get_bucket_versioning(Bucket="code")["Status"]
    s3.put_object_tagging(Bucket="code", Key="b", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    tags = s3.get_object_tagging(Bucket="code", Key="b")["TagSet"]
    seen["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
    seen["virtual"] = virtual()
    seen["other account"] = refusal(client("111111111111").get_object, Bucket="code", Key="b")
    keys = {"Objects": [{"Key": "a/1"}, {"Key": "a/2"}]}
    deleted = s3.delete_objects(Bucket="code", Delete=keys)["Deleted"]
    seen["deleted"] = [one["Key"] for one in deleted]
    chunked("/code/chunked", b"hello chunks")
    seen["chunked"] = text(s3, "chunked")
    return seen


def virtual():
    """The bucket as part of the host name, which not every system resolves."""
    import http.client

    address = ENDPOINT.split("://")[1]
    scope = "999999999999/20250101/us-east-1/s3/aws4_request"
    connection = http.client.HTTPConnection(address)
    connection.request(
        "GET",
        "/b",
        headers={
            "Host": f"code.localhost:{address.split(':')[1]}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        },
    )
    return connection.getresponse().read().decode()


class Limited:
    def __init__(self, source, left):
        self.source, self.left = source, left

    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return self.source.read(size)


def look():
    s3 = client()
    listed = s3.list_objects_v2(Bucket="code")
    return {
        "keys": [one["Key"] for one in listed["Contents"]],
        "plain": text(s3, "b"),
        "large": len(s3.get_object(Bucket="code", Key="large")["Body"].read()),
    }


print(json.dumps({"fill": fill, "look": look}[WHAT]()))
