"""Uses s3fs with an export and with large files; prints the keys it finds. Usage: s3fs_client.py URL BUCKET FOLDER"""

import json
import sys

import s3fs

LARGE = 6 * 1024 * 1024

url, bucket, folder = sys.argv[1:]
files = s3fs.S3FileSystem(key="AKIDEXAMPLE", secret="not-a-secret", client_kwargs={"endpoint_url": url, "region_name": "us-east-1"})
with files.open(f"{bucket}/s3fs/appended", "wb") as output:
    output.write(b"x" * LARGE)
with files.open(f"{bucket}/s3fs/appended", "ab") as output:
    output.write(b" more")
for name, letter in [("first", b"x"), ("second", b"y")]:
    with files.open(f"{bucket}/s3fs/{name}", "wb") as output:
        output.write(letter * LARGE)
files.merge(f"{bucket}/s3fs/merged", [f"{bucket}/s3fs/first", f"{bucket}/s3fs/second"])
files.setxattr(f"{bucket}/s3fs/second", n="2")
print(json.dumps({"keys": [path.removeprefix(f"{bucket}/") for path in files.find(f"{bucket}/{folder}")]}))
