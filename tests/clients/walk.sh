#!/usr/bin/env bash
# The whole pipeline by the AWS command line alone: built, used, looked at and taken down again, in about a minute.
#
#     eval "$(python -m helpers.localaws env)"     # the local AWS, started if need be
#     bash tests/clients/walk.sh [prefix]          # prefix of every name: walk
#
# It needs `aws` (version 1 or 2), and `python` for two chores that the command line leaves to others: filling in the
# policies of data/policies/ and making a zip. What it makes it removes, also when a step fails; the last lines prove that.
set -euo pipefail
cd "$(dirname "$0")/../.."
export AWS_PAGER="" AWS_DEFAULT_OUTPUT=json

case "${AWS_ENDPOINT_URL:-}" in
  http://127.0.0.1:*) ;;
  *) echo 'No local AWS in this shell. First: eval "$(python -m helpers.localaws env)"' >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }

# answers WANTED COMMAND...: ask again until the command prints WANTED, two minutes at most.
answers() {
  local wanted=$1 said= end=$((SECONDS + 120)); shift
  until said=$("$@") && [ "$said" = "$wanted" ]; do
    if [ $SECONDS -gt $end ]; then echo "waited in vain for '$wanted'; last seen: '$said'" >&2; return 1; fi
    sleep 0.5
  done
}

# --- names: the policies are filled in from these, so they are exported ----------------------------------------------------------
prefix=${1:-walk}
region=$AWS_DEFAULT_REGION
export account; account=$(aws sts get-caller-identity --query Account --output text)
table=$prefix-table stream=$prefix-stream pipe=$prefix-pipe function=$prefix-transform delivery=$prefix-delivery
bucket=$prefix-$account-$region crawler=$prefix-crawler classifier=$prefix-classifier database=${prefix//-/_}
workgroup=$prefix-workgroup
export lake_prefix=orders/ error_prefix=errors/ experiments_prefix=experiments/
export bucket_arn=arn:aws:s3:::$bucket
export stream_arn=arn:aws:kinesis:$region:$account:stream/$stream
export pipe_arn=arn:aws:pipes:$region:$account:pipe/$pipe
export function_arn=arn:aws:lambda:$region:$account:function:$function
export function_log_group_arn=arn:aws:logs:$region:$account:log-group:/aws/lambda/$function
export crawler_log_group_arn=arn:aws:logs:$region:$account:log-group:/aws-glue/crawlers
export catalog_arn=arn:aws:glue:$region:$account:catalog
export database_arn=arn:aws:glue:$region:$account:database/$database
export database_tables_arn=arn:aws:glue:$region:$account:table/$database/\*
work=$(mktemp -d)

# --- taking it down, also when a step fails ---------------------------------------------------------------------------------------
left() {  # every name that still carries the prefix, one a line
  {
    aws pipes list-pipes --name-prefix "$prefix-" --query 'Pipes[].Name'
    aws firehose list-delivery-streams --query DeliveryStreamNames
    aws lambda list-functions --query 'Functions[].FunctionName'
    aws kinesis list-streams --query StreamNames
    aws dynamodb list-tables --query TableNames
    aws glue get-crawlers --query 'Crawlers[].Name'
    aws glue get-classifiers --query 'Classifiers[].*.Name[]'
    aws glue get-databases --query 'DatabaseList[].Name'
    aws athena list-work-groups --query 'WorkGroups[].Name'
    aws s3api list-buckets --query 'Buckets[].Name'
    aws iam list-roles --query 'Roles[].RoleName'
    aws logs describe-log-groups --query 'logGroups[].logGroupName'
    aws logs describe-log-streams --log-group-name /aws-glue/crawlers --query 'logStreams[].logStreamName' 2>"$work/no-crawl-yet"
  } | tr -d ' ",[]' | grep -E "^(/aws/lambda/)?($prefix-.*|$database)\$" || true
}

tear_down() {
  local status=$?
  set +e
  say "tear down"
  {
    aws pipes delete-pipe --name "$pipe"
    aws firehose delete-delivery-stream --delivery-stream-name "$delivery"
    aws lambda delete-function --function-name "$function"
    aws glue delete-crawler --name "$crawler"
    aws glue delete-classifier --name "$classifier"
    aws glue delete-database --name "$database"
    aws athena delete-work-group --work-group "$workgroup" --recursive-delete-option
    aws logs delete-log-group --log-group-name "/aws/lambda/$function"
    aws logs delete-log-stream --log-group-name /aws-glue/crawlers --log-stream-name "$crawler"
    aws s3 rb "s3://$bucket" --force
    aws kinesis delete-stream --stream-name "$stream"
    aws dynamodb delete-table --table-name "$table"
    for hop in pipe function delivery crawler; do
      aws iam delete-role-policy --role-name "$prefix-$hop-role" --policy-name permissions
      aws iam delete-role --role-name "$prefix-$hop-role"
    done
  } >"$work/tear-down.log" 2>&1
  if answers "" left; then echo "nothing is left"; else cat "$work/tear-down.log" >&2; status=1; fi
  rm -r "$work"
  exit "$status"
}
if [ -n "$(left)" ]; then
  echo "These exist already, so nothing was made; choose another prefix, or remove them:" $(left) >&2
  exit 2
fi
trap tear_down EXIT

# --- 1 and 2: a table with a stream of its changes --------------------------------------------------------------------------------
say "table $table"
aws dynamodb create-table --table-name "$table" --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=orderid,AttributeType=S --key-schema AttributeName=orderid,KeyType=HASH \
  --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES --query TableDescription.TableStatus --output text
aws dynamodb wait table-exists --table-name "$table"
export table_stream_arn
table_stream_arn=$(aws dynamodb describe-table --table-name "$table" --query Table.LatestStreamArn --output text)

# --- 3: a Kinesis stream ----------------------------------------------------------------------------------------------------------
say "stream $stream"
aws kinesis create-stream --stream-name "$stream" --shard-count 2
aws kinesis wait stream-exists --stream-name "$stream"
aws kinesis list-shards --stream-name "$stream" --query 'Shards[].ShardId' --output text

# --- a role for each hop: who may take it on, and the little that it may do -------------------------------------------------------
say "roles"
filled() { python -c 'import os, string, sys; print(string.Template(sys.stdin.read()).substitute(os.environ))' <"data/policies/$1.json"; }
for hop in pipe function delivery crawler; do
  aws iam create-role --role-name "$prefix-$hop-role" --assume-role-policy-document "$(filled $hop-trust)" --query Role.Arn --output text
  aws iam put-role-policy --role-name "$prefix-$hop-role" --policy-name permissions --policy-document "$(filled $hop)"
done
role=arn:aws:iam::$account:role/$prefix

# --- 4: a pipe from the table's stream to the Kinesis stream ----------------------------------------------------------------------
say "pipe $pipe"
aws pipes create-pipe --name "$pipe" --role-arn "$role-pipe-role" --source "$table_stream_arn" --target "$stream_arn" \
  --source-parameters 'DynamoDBStreamParameters={StartingPosition=TRIM_HORIZON,BatchSize=100,MaximumBatchingWindowInSeconds=1}' \
  --target-parameters 'KinesisStreamParameters={PartitionKey=$.dynamodb.Keys.orderid.S}' --query CurrentState --output text
answers RUNNING aws pipes describe-pipe --name "$pipe" --query CurrentState --output text

# --- 5: a delivery stream to S3, with a function that transforms each batch -------------------------------------------------------
say "function $function, tried once"
python -m zipfile -c "$work/function.zip" helpers/transform.py
aws lambda create-function --function-name "$function" --runtime python3.12 --handler transform.handler --timeout 60 \
  --role "$role-function-role" --zip-file "fileb://$work/function.zip" --query FunctionArn --output text
aws lambda wait function-active-v2 --function-name "$function"
printf '{"records": [{"recordId": "1", "data": "bm90IEpTT04="}]}' >"$work/event.json"
aws lambda invoke --function-name "$function" --payload "fileb://$work/event.json" "$work/answer.json" --query StatusCode --output text
cat "$work/answer.json"; echo

say "delivery stream $delivery into s3://$bucket"
aws s3 mb "s3://$bucket"
cat >"$work/destination.json" <<END
{"RoleARN": "$role-delivery-role", "BucketARN": "$bucket_arn",
 "Prefix": "${lake_prefix}year=!{timestamp:yyyy}/month=!{timestamp:MM}/", "ErrorOutputPrefix": "${error_prefix}!{firehose:error-output-type}/",
 "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 10},
 "ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "Lambda", "Parameters": [
   {"ParameterName": "LambdaArn", "ParameterValue": "$function_arn:\$LATEST"},
   {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "10"}]}]}}
END
aws firehose create-delivery-stream --delivery-stream-name "$delivery" --delivery-stream-type KinesisStreamAsSource \
  --kinesis-stream-source-configuration "KinesisStreamARN=$stream_arn,RoleARN=$role-delivery-role" \
  --extended-s3-destination-configuration "file://$work/destination.json" --output text
answers ACTIVE aws firehose describe-delivery-stream --delivery-stream-name "$delivery" \
  --query DeliveryStreamDescription.DeliveryStreamStatus --output text

# --- the orders: three placed, one corrected, one cancelled; and a record that is no change event ---------------------------------
say "orders"
put() { aws dynamodb put-item --table-name "$table" --item \
  "{\"orderid\": {\"S\": \"$1\"}, \"product_name\": {\"S\": \"$2\"}, \"quantity\": {\"N\": \"$3\"}, \"price\": {\"N\": \"$4\"}}"; }
put o-1 Lamp 1 29.90
put o-2 Mouse 2 19.50
put o-3 Keyboard 1 89.00
aws dynamodb update-item --table-name "$table" --key '{"orderid": {"S": "o-1"}}' \
  --update-expression 'SET quantity = :q' --expression-attribute-values '{":q": {"N": "4"}}'
aws dynamodb delete-item --table-name "$table" --key '{"orderid": {"S": "o-2"}}'
aws kinesis put-record --stream-name "$stream" --partition-key x --data bm90IGFuIG9yZGVy --query ShardId --output text
aws dynamodb scan --table-name "$table" --query 'sort_by(Items, &orderid.S)[].[orderid.S, product_name.S, quantity.N, price.N]' --output text

say "the lake: five changes, and the one record that failed"
lines() {  # how many lines the objects under a prefix have
  mkdir -p "$work/$1" && aws s3 sync --quiet "s3://$bucket/$1" "$work/$1" && find "$work/$1" -type f -exec cat {} + | wc -l | tr -d ' '
}
answers 5 lines "$lake_prefix"
answers 1 lines "$error_prefix"
aws s3 ls --recursive "s3://$bucket/"

# --- 6: a crawler with a JSON classifier makes the table over the lake ------------------------------------------------------------
say "crawler $crawler"
aws glue create-database --database-input "Name=$database"
aws glue create-classifier --json-classifier "Name=$classifier,JsonPath='\$.orderid,\$.product_name,\$.quantity,\$.price'"
aws glue create-crawler --name "$crawler" --role "$role-crawler-role" --database-name "$database" --classifiers "$classifier" \
  --targets "S3Targets=[{Path=s3://$bucket/$lake_prefix}]"
aws glue start-crawler --name "$crawler"
answers $'READY\tSUCCEEDED' aws glue get-crawler --name "$crawler" --query 'Crawler.[State, LastCrawl.Status]' --output text
aws glue get-table --database-name "$database" --name orders \
  --query '[Table.Name, join(`,`, Table.StorageDescriptor.Columns[].Name), join(`,`, Table.PartitionKeys[].Name)]' --output text

# --- 7: Athena --------------------------------------------------------------------------------------------------------------------
say "Athena"
aws athena create-work-group --name "$workgroup" \
  --configuration "EnforceWorkGroupConfiguration=true,ResultConfiguration={OutputLocation=s3://$bucket/athena-results/}"
query=$(aws athena start-query-execution --work-group "$workgroup" --query-execution-context "Database=$database" --query-string \
  "SELECT event_name, count(*) AS changes, sum(quantity * price) AS value FROM orders GROUP BY event_name ORDER BY event_name" \
  --query QueryExecutionId --output text)
answers SUCCEEDED aws athena get-query-execution --query-execution-id "$query" --query QueryExecution.Status.State --output text
aws athena get-query-results --query-execution-id "$query" --query 'ResultSet.Rows[].Data[].[VarCharValue]' --output text | paste - - -
say "its file of results"
aws s3 cp --quiet "s3://$bucket/athena-results/$query.csv" -
