"""What the two processes and their clients agree on."""

PRODUCT = "localaws"
ACCOUNT = "000000000000"
REGION = "us-east-1"
PORT = 4566
NAMED_PORTS = range(10_000, 30_000)  # of those with a name; below the ports that systems give away by themselves
STATUS_PATH = "/_localaws/status"
PID_FILE = "pid.json"
LOG_FILE = "localaws.log"
