// Package template_test checks template.yaml, as CloudFormation gets it. It works in the root of the project.
package template_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trackstore/internal/devstack/asl"
	"trackstore/migrations"
	"trackstore/shared/config"
	"trackstore/shared/upload"
)

// production are the parameters of a deployment whose new files go to S3.
var production = map[string]string{
	"DatabaseSecretArn":   "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-AbCdEf",
	"JwtSecretArn":        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:jwt-AbCdEf",
	"TracksBucketName":    "platform-tracks",
	"TrackStorageBackend": "s3",
	"CorsAllowedOrigins":  "https://app.example.com,https://studio.example.com",
	"AlarmTopicArn":       "arn:aws:sns:eu-central-1:123456789012:alarms",
}

// inVPC are those of one whose functions reach a database and a disk within a VPC.
var inVPC = with(production, map[string]string{
	"DatabaseUrl":         "postgres://proxy.example.com:5432/platform?sslmode=verify-full&default_query_exec_mode=exec",
	"VpcSubnetIds":        "subnet-0a1,subnet-0b2",
	"VpcSecurityGroupIds": "sg-0c3",
	"EfsFileSystemArn":    fileSystem,
	"EfsAccessPointArn":   accessPoint,
})

const (
	bucket      = "arn:aws:s3:::platform-tracks"
	fileSystem  = "arn:aws:elasticfilesystem:eu-central-1:123456789012:file-system/fs-0d4"
	accessPoint = "arn:aws:elasticfilesystem:eu-central-1:123456789012:access-point/fsap-0e5"
)

func with(parameters, more map[string]string) map[string]string {
	all := maps.Clone(parameters)
	maps.Copy(all, more)
	return all
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	s := transform(t, production)
	for name, test := range map[string]func(*testing.T, *stack){
		"parameters":    testParameters,
		"functions":     testFunctions,
		"privileges":    testPrivileges,
		"bucket":        testBucket,
		"events":        testEvents,
		"http api":      testHTTPAPI,
		"schema":        testSchema,
		"state machine": testStateMachine,
		"sweep":         testSweep,
		"alarms":        testAlarms,
		"outputs":       testOutputs,
		"no circles":    testNoCircles,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// Every program's configuration is valid with the environment that its function gets, in each kind of deployment.
func TestTemplateConfiguresTheFunctions(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]map[string]string{
		"production": production,
		"in a VPC":   inVPC,
		"new files on disk": with(production, map[string]string{
			"TrackStorageBackend": "local", "TrackLocalUrl": "https://disk.example.com", "TrackLocalSecretArn": production["JwtSecretArn"],
		}),
		"keys by URL": with(production, map[string]string{"JwtSecretArn": "", "JwtJwksUrl": "https://login.example.com/jwks.json", "JwtIssuer": "https://login.example.com/"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := transform(t, parameters)
			if refusals := s.refusals(); refusals != nil {
				t.Fatalf("refused: %q", refusals)
			}
			for _, program := range config.Programs() {
				if strings.HasPrefix(program.Name, "trackstore ") {
					continue
				}
				environment := s.resource(t, functionID(program.Name), "AWS::Lambda::Function").at("Environment.Variables")
				problems, warnings := program.Check(func(name string) string {
					if name == "AWS_REGION" {
						return "eu-central-1" // Lambda sets it
					}
					value, _ := environment.value.(map[string]any)[name].(string)
					return value
				})
				if len(problems)+len(warnings) > 0 {
					t.Errorf("%s: problems %v, warnings %v", program.Name, problems, warnings)
				}
			}
		})
	}
}

// functionID turns presign-upload into PresignUploadFunction.
func functionID(program string) string {
	var id strings.Builder
	for word := range strings.SplitSeq(program, "-") {
		id.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return id.String() + "Function"
}

func testParameters(t *testing.T, s *stack) {
	for _, test := range []struct {
		change map[string]string
		want   []string
	}{
		{nil, nil},
		{map[string]string{"TrackStorageBackend": "S3"}, []string{"TrackStorageBackend is not allowed"}},
		{map[string]string{"TrackStorageBackend": "minio"}, []string{"TrackStorageBackend is not allowed"}},
		{map[string]string{"AwsS3Enabled": "false"}, []string{"Rule 11: TrackStorageBackend=s3 needs AwsS3Enabled=true"}},
		{map[string]string{"AwsS3Enabled": "yes"}, []string{"AwsS3Enabled is not allowed", "Rule 11: TrackStorageBackend=s3 needs AwsS3Enabled=true"}},
		{map[string]string{"AppEnv": "prod"}, []string{"AppEnv is not allowed"}},
		{map[string]string{"TrackStorageBackend": "local"}, []string{
			"Rule 6: in production TrackStorageBackend=local needs TrackLocalSecretArn", "Rule 6: in production TrackStorageBackend=local needs TrackLocalUrl"}},
		{map[string]string{"TrackStorageBackend": "local", "AppEnv": "staging"}, nil},
		{map[string]string{"TrackLocalUrl": "https://disk.example.com"}, []string{"Rule 6: TrackLocalUrl and TrackLocalSecretArn come together"}},
		{map[string]string{"JwtSecretArn": ""}, []string{"Rule 3: set JwtSecretArn or JwtJwksUrl"}},
		{map[string]string{"JwtJwksUrl": "http://login.example.com/jwks.json"}, []string{"JwtJwksUrl does not match"}},
		{map[string]string{"DatabaseSecretArn": "my-secret"}, []string{"DatabaseSecretArn does not match"}},
		{map[string]string{"DatabaseUrl": "postgres://user:password@db.example.com/platform"}, []string{"DatabaseUrl does not match"}},
		{map[string]string{"DatabaseUrl": "postgres://user@db.example.com:5432/platform?sslmode=verify-full"}, nil},
		{map[string]string{"TracksBucketName": "Tracks"}, []string{"TracksBucketName does not match"}},
		{map[string]string{"CorsAllowedOrigins": "https://app.example.com/"}, []string{"CorsAllowedOrigins does not match"}},
		{map[string]string{"CorsAllowedOrigins": "*"}, nil},
		{map[string]string{"CorsAllowedOrigins": ""}, nil},
		{map[string]string{"UploadMaxBytes": "2 GiB"}, []string{"UploadMaxBytes does not match"}},
		{map[string]string{"UploadSingleMaxBytes": "6GiB"}, []string{"UploadSingleMaxBytes does not match"}},
		{map[string]string{"UploadMaxPending": "0"}, []string{"UploadMaxPending is too small"}},
		{map[string]string{"UploadUrlTtl": "24h"}, []string{"UploadUrlTtl is not allowed"}},
		{map[string]string{"StorageGrace": "1h"}, []string{"StorageGrace is not allowed"}},
		{map[string]string{"EventMaxConcurrency": "1"}, []string{"EventMaxConcurrency is too small"}},
		{map[string]string{"MigrateWorkers": "11"}, []string{"MigrateWorkers is too large"}},
		{map[string]string{"SweepSchedule": "5 minutes"}, []string{"SweepSchedule does not match"}},
		{map[string]string{"ApiReservedConcurrency": "unreserved"}, nil},
		{map[string]string{"ApiReservedConcurrency": "0"}, []string{"ApiReservedConcurrency does not match"}},
		{map[string]string{"JwtAuthorizer": "true"}, []string{"JwtAuthorizer=true needs JwtIssuer, JwtAudience and JwtJwksUrl"}},
		{map[string]string{"KmsKeyArn": "alias/tracks"}, []string{"KmsKeyArn does not match"}},
		{map[string]string{"SweepSilence": "60"}, []string{"SweepSilence is not allowed"}},
		{map[string]string{"EfsAccessPointArn": accessPoint}, []string{
			"EFS is reached from within a VPC only, so set VpcSubnetIds and VpcSecurityGroupIds", "EfsFileSystemArn and EfsAccessPointArn come together"}},
		{map[string]string{"VpcSubnetIds": "subnet-0a1"}, []string{"VpcSubnetIds needs VpcSecurityGroupIds"}},
	} {
		changed := &stack{document: s.document, parameters: maps.Clone(s.parameters)}
		for name, value := range test.change {
			changed.parameters[name] = value
			if _, isList := s.parameters[name].([]any); isList {
				changed.parameters[name] = []any{value}
			}
		}
		if got := changed.refusals(); !slices.Equal(got, test.want) {
			t.Errorf("with %v: %q, not %q", test.change, got, test.want)
		}
	}
}

func testFunctions(t *testing.T, s *stack) {
	ids := s.ids("AWS::Lambda::Function")
	want := []string{"DeliverEventsFunction", "MigrateBatchFunction", "MigrateSchemaFunction", "ObjectCreatedFunction", "PresignUploadFunction", "SweepUploadsFunction"}
	if !slices.Equal(ids, want) {
		t.Errorf("the functions are %v", ids)
	}
	roles, logs := map[string]bool{}, map[string]bool{}
	for _, id := range ids {
		f := s.resource(t, id, "AWS::Lambda::Function")
		f.at("Runtime").is("provided.al2023")
		f.at("Handler").is("bootstrap")
		f.at("Architectures").is([]string{"arm64"})
		f.at("TracingConfig.Mode").is("PassThrough")
		f.at("LoggingConfig.LogFormat").is("JSON")
		f.at("LoggingConfig.ApplicationLogLevel").is("DEBUG") // or LOG_LEVEL=debug shows nothing
		f.at("LoggingConfig.SystemLogLevel").is("WARN")
		if !strings.HasSuffix(f.at("Description").string(), "(secrets: version 1)") {
			t.Errorf("%s does not start anew after a rotation of secrets", id)
		}
		if timeout := f.at("Timeout").number(); timeout < 28 || timeout > 900 {
			t.Errorf("%s has %v s", id, timeout)
		}
		if memory := f.at("MemorySize").number(); memory < 256 || memory > 1769 {
			t.Errorf("%s has %v MB", id, memory)
		}
		roles[f.at("Role").string()] = true
		group := strings.Trim(f.at("LoggingConfig.LogGroup").string(), "<>")
		s.resource(t, group, "AWS::Logs::LogGroup").at("RetentionInDays").is(30)
		logs[group] = true
		for _, absent := range []string{"VpcConfig", "FileSystemConfigs", "KmsKeyArn"} {
			f.at(absent).is(nil)
		}
	}
	s.resource(t, "PresignUploadFunction", "AWS::Lambda::Function").at("ReservedConcurrentExecutions").is(50) // a flood leaves the account's other functions room
	if len(roles) != len(ids) || len(logs) != len(ids) {
		t.Errorf("%d functions share %d roles and %d log groups", len(ids), len(roles), len(logs))
	}
}

// grants lists what a role allows, as "action on resource". AWS's own policies are in it by their names.
func grants(t *testing.T, s *stack, role string) []string {
	t.Helper()
	r := s.resource(t, role, "AWS::IAM::Role")
	found := r.at("ManagedPolicyArns").strings()
	for _, policy := range r.at("Policies").items() {
		for _, statement := range policy.at("PolicyDocument.Statement").items() {
			statement.at("Effect").is("Allow")
			for _, action := range statement.at("Action").strings() {
				for _, resource := range statement.at("Resource").strings() {
					found = append(found, action+" on "+resource)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

func on(resource string, actions ...string) []string {
	all := make([]string, len(actions))
	for i, action := range actions {
		all[i] = action + " on " + resource
	}
	return all
}

func testPrivileges(t *testing.T, s *stack) {
	function := func(name string) []string {
		return append(on(production["DatabaseSecretArn"], "secretsmanager:GetSecretValue"),
			on("<"+name+"Logs.Arn>", "logs:CreateLogStream", "logs:PutLogEvents")...)
	}
	uploads, migrated := bucket+"/uploads/*", bucket+"/tracks/*"
	identity := on(bucket+"/.trackstore/bucket-id", "s3:GetObject", "s3:PutObject") // who the bucket is
	want := map[string][]string{
		"PresignUploadFunctionRole": slices.Concat(function("PresignUpload"), identity, on(bucket, "s3:ListBucket"),
			on(uploads, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject", "s3:GetObjectVersion"),
			on(migrated, "s3:GetObject", "s3:GetObjectVersion")),
		"ObjectCreatedFunctionRole": slices.Concat(function("ObjectCreated"), identity, on(bucket, "s3:ListBucket"),
			on("<ObjectCreatedQueue.Arn>", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
			on(uploads, "s3:GetObject", "s3:GetObjectVersion")),
		"MigrateBatchFunctionRole": slices.Concat(function("MigrateBatch"), identity, on(bucket, "s3:ListBucket"),
			on(uploads, "s3:GetObject", "s3:GetObjectVersion"),
			on(migrated, "s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion")),
		"SweepUploadsFunctionRole": slices.Concat(function("SweepUploads"), identity, on(bucket, "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"),
			on(uploads, "s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"),
			on(migrated, "s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload")),
		"DeliverEventsFunctionRole": function("DeliverEvents"),
		"MigrateSchemaFunctionRole": function("MigrateSchema"),
		"MigrateStorageStateMachineRole": slices.Concat(
			on("<MigrateBatchFunction.Arn>", "lambda:InvokeFunction"),
			on("arn:aws:ssm:eu-central-1:123456789012:parameter/trackstore/stack/migrate-storage", "ssm:GetParameter"),
			on("arn:aws:states:eu-central-1:123456789012:stateMachine:stack-migrate-storage", "states:StartExecution")),
	}
	for _, role := range s.ids("AWS::IAM::Role") {
		slices.Sort(want[role])
		if diff := cmp.Diff(want[role], grants(t, s, role)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", role, diff)
		}
		delete(want, role)
	}
	if len(want) > 0 {
		t.Errorf("roles are missing: %v", want)
	}
}

func testBucket(t *testing.T, s *stack) {
	b := s.resource(t, "TracksBucket", "AWS::S3::Bucket")
	whole := object{t, "TracksBucket", s.section("Resources")["TracksBucket"]}
	whole.at("DeletionPolicy").is("RetainExceptOnCreate") // plain Retain would keep it when the first deployment is taken back
	whole.at("UpdateReplacePolicy").is("Retain")
	for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		b.at("PublicAccessBlockConfiguration." + block).is(true)
	}
	b.at("OwnershipControls.Rules.0.ObjectOwnership").is("BucketOwnerEnforced")
	b.at("BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm").is("AES256")
	b.at("VersioningConfiguration.Status").is("Enabled")

	cors := b.at("CorsConfiguration.CorsRules.0")
	cors.at("AllowedOrigins").is([]string{"https://app.example.com", "https://studio.example.com"})
	cors.at("AllowedMethods").is([]string{"PUT", "POST"})
	if !slices.Contains(cors.at("ExposedHeaders").strings(), "ETag") {
		t.Error("pages cannot read the ETag of a part")
	}
	reads := b.at("CorsConfiguration.CorsRules.1")
	reads.at("AllowedOrigins").is([]string{"*"})
	reads.at("AllowedMethods").is([]string{"GET", "HEAD"})

	aborts := false
	for _, rule := range b.at("LifecycleConfiguration.Rules").items() {
		rule.at("Status").is("Enabled")
		if days := rule.at("AbortIncompleteMultipartUpload.DaysAfterInitiation"); days.value != nil {
			aborts = true
			if days.number()*24 <= 168 {
				t.Error("a multipart upload is aborted before the longest UPLOAD_TTL is over")
			}
		}
		for property := range rule.value.(map[string]any) {
			if !slices.Contains([]string{"Id", "Status", "AbortIncompleteMultipartUpload"}, property) {
				t.Errorf("a rule has %s, and may remove a version that a row has pinned", property)
			}
		}
	}
	if !aborts {
		t.Error("nothing aborts stale multipart uploads")
	}

	notifications := b.at("NotificationConfiguration")
	if all := notifications.value.(map[string]any); len(all) != 1 || len(notifications.at("QueueConfigurations").items()) != 1 {
		t.Errorf("notifications go elsewhere too: %v", all)
	}
	queue := notifications.at("QueueConfigurations.0")
	queue.at("Event").is("s3:ObjectCreated:*")
	queue.at("Queue").is("<ObjectCreatedQueue.Arn>")
	queue.at("Filter.S3Key.Rules").is([]any{map[string]any{"Name": "prefix", "Value": "uploads/"}})

	denials := map[string]object{}
	for _, statement := range s.resource(t, "TracksBucketPolicy", "AWS::S3::BucketPolicy").at("PolicyDocument.Statement").items() {
		statement.at("Effect").is("Deny")
		statement.at("Principal").is("*")
		denials[statement.at("Sid").string()] = statement
	}
	tls := denials["TLSOnly"]
	tls.at("Action").is("s3:*")
	tls.at("Resource").is([]string{"<TracksBucket.Arn>", "<TracksBucket.Arn>/*"})
	tls.at("Condition").is(map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}})
	once := denials["WriteOnce"]
	once.at("Action").is("s3:PutObject")
	once.at("Resource").is("<TracksBucket.Arn>/tracks/*")
	once.at("Condition").is(map[string]any{
		"Null": map[string]any{"s3:if-none-match": "true"}, "Bool": map[string]any{"s3:ObjectCreationOperation": "true"},
	})
}

func testEvents(t *testing.T, s *stack) {
	queue := s.resource(t, "ObjectCreatedQueue", "AWS::SQS::Queue")
	letters := s.resource(t, "ObjectCreatedDeadLetters", "AWS::SQS::Queue")
	source := s.resource(t, "ObjectCreatedFunctionObjectCreated", "AWS::Lambda::EventSourceMapping")
	timeout := s.resource(t, "ObjectCreatedFunction", "AWS::Lambda::Function").at("Timeout").number()

	source.at("EventSourceArn").is("<ObjectCreatedQueue.Arn>")
	source.at("FunctionResponseTypes").is([]string{"ReportBatchItemFailures"})
	source.at("ScalingConfig.MaximumConcurrency").is(5)
	if queue.at("VisibilityTimeout").number() < 6*timeout+source.at("MaximumBatchingWindowInSeconds").number() {
		t.Error("a message becomes visible again while it is still worked on")
	}
	queue.at("RedrivePolicy").is(map[string]any{"deadLetterTargetArn": "<ObjectCreatedDeadLetters.Arn>", "maxReceiveCount": 5})
	letters.at("MessageRetentionPeriod").is(14 * 24 * 3600)
	if queue.at("MessageRetentionPeriod").number() >= letters.at("MessageRetentionPeriod").number() {
		t.Error("dead letters, whose age counts from the first queue, have no time left")
	}
	letters.at("RedriveAllowPolicy.redrivePermission").is("byQueue")
	letters.at("RedriveAllowPolicy.sourceQueueArns").is([]string{"arn:aws:sqs:eu-central-1:123456789012:" + queue.at("QueueName").string()})
	for _, q := range []object{queue, letters} {
		q.at("SqsManagedSseEnabled").is(true)
	}

	policy := s.resource(t, "ObjectCreatedQueuePolicy", "AWS::SQS::QueuePolicy")
	policy.at("Queues").is([]string{"<ObjectCreatedQueue>"})
	statements := policy.at("PolicyDocument.Statement").items()
	if len(statements) != 1 {
		t.Fatalf("the queue's policy has %d statements", len(statements))
	}
	statements[0].at("Principal.Service").is("s3.amazonaws.com")
	statements[0].at("Action").is("sqs:SendMessage")
	statements[0].at("Resource").is("<ObjectCreatedQueue.Arn>")
	statements[0].at("Condition.ArnEquals.aws:SourceArn").is(bucket)
	statements[0].at("Condition.StringEquals.aws:SourceAccount").is("123456789012")
}

func testHTTPAPI(t *testing.T, s *stack) {
	var open []string
	for _, id := range s.ids("AWS::ApiGatewayV2::Route") {
		if s.exists(id) {
			route := s.resource(t, id, "AWS::ApiGatewayV2::Route")
			route.at("Target").is("integrations/<HttpApiIntegration>")
			if route.at("AuthorizerId").value != nil {
				t.Errorf("%s has an authorizer that nobody asked for", id)
			}
			open = append(open, route.at("RouteKey").string())
		}
	}
	slices.Sort(open)
	if want := []string{"$default", "ANY /u/{proxy+}", "DELETE /v1/{proxy+}", "GET /healthz", "GET /v1/{proxy+}", "HEAD /v1/{proxy+}",
		"PATCH /v1/{proxy+}", "POST /v1/{proxy+}"}; !slices.Equal(open, want) {
		t.Errorf("the routes are %v", open)
	}
	integration := s.resource(t, "HttpApiIntegration", "AWS::ApiGatewayV2::Integration")
	integration.at("IntegrationUri").is("arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/<PresignUploadFunction.Arn>/invocations")
	integration.at("PayloadFormatVersion").is("2.0")
	permission := s.resource(t, "HttpApiPermission", "AWS::Lambda::Permission")
	permission.at("FunctionName").is("<PresignUploadFunction.Arn>")
	permission.at("SourceArn").is("arn:aws:execute-api:eu-central-1:123456789012:<HttpApi>/*")

	cors := s.resource(t, "HttpApi", "AWS::ApiGatewayV2::Api").at("CorsConfiguration")
	cors.at("AllowOrigins").is([]string{"https://app.example.com", "https://studio.example.com"})
	// What API Gateway says to browsers, and what the handler says elsewhere, is the same.
	handler := upload.New(upload.Config{Limits: upload.Limits{AllowedOrigins: []string{"https://app.example.com"}}, Log: slog.New(slog.DiscardHandler)})
	preflight := httptest.NewRequest(http.MethodOptions, "/v1/uploads", nil)
	preflight.Header.Set("Origin", "https://app.example.com")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, preflight)
	for property, header := range map[string]string{
		"AllowMethods": "Allow-Methods", "AllowHeaders": "Allow-Headers", "ExposeHeaders": "Expose-Headers", "MaxAge": "Max-Age",
	} {
		ours := strings.Split(strings.ToLower(answer.Header().Get("Access-Control-"+header)), ", ")
		slices.Sort(ours)
		if theirs := cors.at(property).strings(); !strings.EqualFold(strings.Join(theirs, ","), strings.Join(ours, ",")) {
			t.Errorf("%s: API Gateway says %v, and the handler %v", property, theirs, ours)
		}
	}

	stage := s.resource(t, "HttpApiStage", "AWS::ApiGatewayV2::Stage")
	stage.at("DefaultRouteSettings.ThrottlingRateLimit").is(200)
	stage.at("DefaultRouteSettings.ThrottlingBurstLimit").is(400)
	stage.at("DefaultRouteSettings.DetailedMetricsEnabled").is(nil) // they cost, and nothing reads them
	stage.at("AccessLogSettings.DestinationArn").is("<ApiAccessLogs.Arn>")
	format := stage.at("AccessLogSettings.Format").string()
	var line map[string]any
	filled := regexp.MustCompile(`\$context\.[A-Za-z.]+`).ReplaceAllString(format, "1")
	if err := json.Unmarshal([]byte(filled), &line); err != nil {
		t.Errorf("access logs are no JSON: %v", err)
	}
	for _, secret := range []string{"path", "queryString", "authorizer"} {
		if strings.Contains(format, "$context."+secret) {
			t.Errorf("access logs have the %s, and with it tokens", secret)
		}
	}
	if timeout := s.resource(t, "PresignUploadFunction", "AWS::Lambda::Function").at("Timeout").number(); timeout*1000 >= integration.at("TimeoutInMillis").number() {
		t.Errorf("the API gives up before its function, after %v s", timeout)
	}
}

// The schema is brought up by this deployment when it or the database has changed, and before the functions that need it.
func testSchema(t *testing.T, s *stack) {
	files, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	last, _, _ := strings.Cut(slices.Max(files), "_")
	schema := s.resource(t, "SchemaMigration", "Custom::TrackstoreSchema")
	schema.at("Version").is(strings.TrimLeft(last, "0")) // template.yaml names the last migration
	before := schema.at("Database").value
	for name, other := range map[string]string{
		"DatabaseSecretArn": production["JwtSecretArn"], "DatabaseUrl": "postgres://restored.example.com/platform", "SecretsVersion": "2",
	} {
		changed := &stack{document: s.document, parameters: maps.Clone(s.parameters)}
		changed.parameters[name] = other
		if cmp.Equal(before, changed.resource(t, "SchemaMigration", "Custom::TrackstoreSchema").at("Database").value) {
			t.Errorf("with another %s the functions may meet a database whose schema is old", name)
		}
	}
	schema.at("ServiceToken").is("<MigrateSchemaFunction.Arn>")
	s.resource(t, "MigrateSchemaFunctionEventInvokeConfig", "AWS::Lambda::EventInvokeConfig").at("MaximumRetryAttempts").is(0)
	if schema.at("ServiceTimeout").number() <= s.resource(t, "MigrateSchemaFunction", "AWS::Lambda::Function").at("Timeout").number() {
		t.Error("the deployment gives up before the function")
	}
	for _, id := range s.ids("AWS::Lambda::Function") {
		after := s.section("Resources")[id].(map[string]any)["DependsOn"]
		if id != "MigrateSchemaFunction" && after != "SchemaMigration" {
			t.Errorf("%s may be replaced before the schema is", id)
		}
	}
}

func testStateMachine(t *testing.T, s *stack) {
	machine := s.resource(t, "MigrateStorageStateMachine", "AWS::StepFunctions::StateMachine")
	machine.at("StateMachineType").is("STANDARD")
	machine.at("StateMachineName").is("stack-migrate-storage") // which its role names
	substitutions := map[string]string{}
	for name, value := range machine.at("DefinitionSubstitutions").value.(map[string]any) {
		substitutions[name] = fmt.Sprint(value)
	}
	want := map[string]string{"Partition": "aws", "MigrateBatchFunctionArn": "<MigrateBatchFunction.Arn>", "SwitchName": "<MigrateStorageSwitch>", "Workers": "4"}
	if diff := cmp.Diff(want, substitutions); diff != "" {
		t.Errorf("substitutions (-want +got):\n%s", diff)
	}
	if _, err := asl.Parse([]byte(machine.at("DefinitionString").string()), substitutions); err != nil {
		t.Errorf("the definition: %v", err)
	}
	s.resource(t, "MigrateStorageSwitch", "AWS::SSM::Parameter").at("Name").is("/trackstore/stack/migrate-storage")
}

func testSweep(t *testing.T, s *stack) {
	rule := s.resource(t, "SweepUploadsFunctionSchedule", "AWS::Events::Rule")
	rule.at("ScheduleExpression").is("rate(5 minutes)")
	rule.at("State").is("ENABLED")
	rule.at("Targets.0.Arn").is("<SweepUploadsFunction.Arn>")
}

func testAlarms(t *testing.T, s *stack) {
	watched := map[string]bool{}
	for _, id := range s.ids("AWS::CloudWatch::Alarm") {
		alarm := s.resource(t, id, "AWS::CloudWatch::Alarm")
		alarm.at("AlarmActions").is([]string{production["AlarmTopicArn"]})
		missing := "notBreaching" // what is 0 is not written
		if id == "SweepMissingAlarm" {
			missing = "breaching"
		}
		alarm.at("TreatMissingData").is(missing)
		metrics := []object{alarm}
		if alarm.at("Metrics").value != nil {
			metrics = nil
			for _, m := range alarm.at("Metrics").items()[1:] { // the first is the expression
				metrics = append(metrics, m.at("MetricStat.Metric"))
			}
		}
		for _, metric := range metrics {
			what := metric.at("Namespace").string() + " " + metric.at("MetricName").string()
			for _, dimension := range metric.at("Dimensions").items() {
				what += " " + dimension.at("Name").string() + "=" + dimension.at("Value").string()
			}
			watched[what] = true
		}
	}
	want := []string{
		"AWS/SQS ApproximateNumberOfMessagesVisible QueueName=<ObjectCreatedDeadLetters.QueueName>",
		"AWS/SQS ApproximateAgeOfOldestMessage QueueName=<ObjectCreatedQueue.QueueName>",
		"AWS/ApiGateway 5xx ApiId=<HttpApi>",
		"AWS/ApiGateway Latency ApiId=<HttpApi>",
		"AWS/Lambda ConcurrentExecutions FunctionName=<PresignUploadFunction>",
		"AWS/Lambda Invocations FunctionName=<SweepUploadsFunction>",
		"AWS/States ExecutionsFailed StateMachineArn=<MigrateStorageStateMachine>",
	}
	for _, delivers := range []string{"DeliverEventsFunction", "ObjectCreatedFunction", "SweepUploadsFunction"} {
		want = append(want, "trackstore EventsDead Function=<"+delivers+">")
	}
	for _, id := range s.ids("AWS::Lambda::Function") {
		want = append(want, "AWS/Lambda Errors FunctionName=<"+id+">")
		if id != "MigrateSchemaFunction" { // which CloudFormation calls, and tries again
			want = append(want, "AWS/Lambda Throttles FunctionName=<"+id+">")
		}
	}
	own, ofOneFunction := ownMetrics(t), regexp.MustCompile(`^Function=<[A-Za-z]+>$`)
	for what := range watched {
		if name, isOwn := strings.CutPrefix(what, "trackstore "); isOwn {
			name, dimensions, _ := strings.Cut(name, " ")
			if !own[name] || !ofOneFunction.MatchString(dimensions) {
				t.Errorf("an alarm watches %s, which no function writes", what)
			}
		}
	}
	var dashboard struct {
		Widgets []struct{ Properties struct{ Metrics [][]any } }
	}
	body := s.resource(t, "Dashboard", "AWS::CloudWatch::Dashboard").at("DashboardBody").string()
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		t.Fatalf("the dashboard: %v", err)
	}
	for _, widget := range dashboard.Widgets {
		for _, metric := range widget.Properties.Metrics {
			if name := metric[1].(string); metric[0] == "trackstore" && !own[name] {
				t.Errorf("the dashboard shows %s, which no function writes", name)
			}
		}
	}
	for _, what := range want {
		if !watched[what] {
			t.Errorf("no alarm watches %s", what)
		}
	}
}

// ownMetrics finds the names of the metrics that the code writes.
func ownMetrics(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	written := regexp.MustCompile(`metrics\.(?:Count|Bytes|Duration)\("([A-Za-z]+)"`)
	for _, dir := range []string{"functions", "shared"} {
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(filepath.Join(dir, path))
			for _, match := range written.FindAllSubmatch(content, -1) {
				names[string(match[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func testOutputs(t *testing.T, s *stack) {
	for _, name := range []string{"ApiUrl", "TracksBucketName", "ObjectCreatedQueueUrl", "ObjectCreatedDeadLettersUrl", "ObjectCreatedDeadLettersArn",
		"MigrateStorageStateMachineArn", "MigrateStorageSwitchName", "MigrateBatchFunctionName", "SweepUploadsFunctionName"} {
		output, _ := s.section("Outputs")[name].(map[string]any)
		if value, _ := s.resolve(output["Value"]).(string); value == "" {
			t.Errorf("there is no output %s", name)
		}
	}
}

// testNoCircles walks from every resource along what it names: CloudFormation refuses one that leads back to itself.
func testNoCircles(t *testing.T, s *stack) {
	reference := regexp.MustCompile(`<([A-Za-z0-9]+)(\.[A-Za-z]+)?>`)
	needs := map[string][]string{}
	for id, resource := range s.section("Resources") {
		r := resource.(map[string]any)
		text := fmt.Sprint(s.resolve(r["Properties"]))
		for _, match := range reference.FindAllStringSubmatch(text, -1) {
			needs[id] = append(needs[id], match[1])
		}
		for _, first := range (object{t, id, r["DependsOn"]}).items() {
			needs[id] = append(needs[id], first.string())
		}
	}
	var walk func(path []string)
	walk = func(path []string) {
		id := path[len(path)-1]
		if i := slices.Index(path, id); i < len(path)-1 {
			t.Fatalf("a circle: %s", strings.Join(path[i:], " → "))
		}
		for _, next := range needs[id] {
			walk(append(slices.Clone(path), next))
		}
	}
	for id := range needs {
		walk([]string{id})
	}
}

func TestTemplateInVPC(t *testing.T) {
	t.Parallel()
	s := transform(t, inVPC)
	for _, id := range s.ids("AWS::Lambda::Function") {
		f := s.resource(t, id, "AWS::Lambda::Function")
		f.at("VpcConfig.SubnetIds").is([]string{"subnet-0a1", "subnet-0b2"})
		f.at("VpcConfig.SecurityGroupIds").is([]string{"sg-0c3"})

		disk := slices.Contains([]string{"PresignUploadFunction", "MigrateBatchFunction", "SweepUploadsFunction"}, id)
		rights := grants(t, s, id+"Role")
		if !slices.Contains(rights, "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole") {
			t.Errorf("%s may not enter the VPC", id)
		}
		mounts := slices.Contains(rights, "elasticfilesystem:ClientMount on "+fileSystem)
		if mounts != disk || (f.at("FileSystemConfigs").value != nil) != disk {
			t.Errorf("%s: allowed to mount: %t, mounts: %v", id, mounts, f.at("FileSystemConfigs").value)
		}
		if disk {
			f.at("FileSystemConfigs.0.Arn").is(accessPoint)
			f.at("FileSystemConfigs.0.LocalMountPath").is(f.at("Environment.Variables.TRACK_LOCAL_DIR").string())
		}
	}
	testNoCircles(t, s)
}

func TestTemplateWithoutBrowsersAndAlarms(t *testing.T) {
	t.Parallel()
	s := transform(t, with(production, map[string]string{"CorsAllowedOrigins": "", "AlarmTopicArn": "", "Architecture": "x86_64", "ApiReservedConcurrency": "20"}))
	s.resource(t, "TracksBucket", "AWS::S3::Bucket").at("CorsConfiguration").is(nil)
	s.resource(t, "HttpApi", "AWS::ApiGatewayV2::Api").at("CorsConfiguration").is(nil)
	s.resource(t, "DeadLettersAlarm", "AWS::CloudWatch::Alarm").at("AlarmActions").is(nil)
	f := s.resource(t, "PresignUploadFunction", "AWS::Lambda::Function")
	f.at("Architectures").is([]string{"x86_64"})
	f.at("ReservedConcurrentExecutions").is(20)
}

// With JwtAuthorizer, requests without a good token reach no function, but for sessions, which bear their own, and /healthz.
func TestTemplateWithAuthorizer(t *testing.T) {
	t.Parallel()
	s := transform(t, with(production, map[string]string{"JwtAuthorizer": "true", "JwtSecretArn": "", "JwtJwksUrl": "https://login.example.com/jwks.json",
		"JwtIssuer": "https://login.example.com", "JwtAudience": "tracks"}))
	if refusals := s.refusals(); refusals != nil {
		t.Fatalf("refused: %q", refusals)
	}
	authorizer := s.resource(t, "HttpApiAuthorizer", "AWS::ApiGatewayV2::Authorizer")
	authorizer.at("JwtConfiguration").is(map[string]any{"Issuer": "https://login.example.com", "Audience": []any{"tracks"}})
	authorizer.at("IdentitySource").is([]string{"$request.header.Authorization"})
	for _, id := range s.ids("AWS::ApiGatewayV2::Route") {
		if !s.exists(id) {
			continue
		}
		route := s.resource(t, id, "AWS::ApiGatewayV2::Route")
		switch key := route.at("RouteKey").string(); {
		case key == "GET /healthz" || key == "ANY /u/{proxy+}":
			route.at("AuthorizerId").is(nil)
		case strings.HasPrefix(key, "ANY ") || key == "$default":
			t.Errorf("%s takes preflights, which have no token", key)
		default:
			route.at("AuthorizationType").is("JWT")
			route.at("AuthorizerId").is("<HttpApiAuthorizer>")
		}
	}
}

// With CanaryDeployment the API calls an alias, which CodeDeploy moves on bit by bit and takes back where an alarm goes off.
func TestTemplateWithCanary(t *testing.T) {
	t.Parallel()
	s := transform(t, with(production, map[string]string{"CanaryDeployment": "true"}))
	alias := "<PresignUploadFunctionAliaslive>"
	s.resource(t, "HttpApiIntegration", "AWS::ApiGatewayV2::Integration").at("IntegrationUri").is(
		"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/" + alias + "/invocations")
	s.resource(t, "HttpApiPermission", "AWS::Lambda::Permission").at("FunctionName").is(alias)
	group := s.resource(t, "PresignUploadFunctionDeploymentGroup", "AWS::CodeDeploy::DeploymentGroup")
	group.at("AlarmConfiguration.Alarms").is([]any{map[string]any{"Name": "<ApiErrorsAlarm>"},
		map[string]any{"Name": "<PresignUploadErrorsAlarm>"}, map[string]any{"Name": "<ApiLatencyAlarm>"}})
	group.at("AutoRollbackConfiguration.Events").is([]string{"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"})
	group.at("DeploymentConfigName").is("CodeDeployDefault.LambdaCanary10Percent10Minutes")
	updates := object{t, alias, s.resolve(s.section("Resources")["PresignUploadFunctionAliaslive"])}
	updates.at("UpdatePolicy.CodeDeployLambdaAliasUpdate.DeploymentGroupName").is("<PresignUploadFunctionDeploymentGroup>")
	// A rotated secret makes a version of its own: one with the old secret would go on answering.
	for _, id := range s.ids("AWS::Lambda::Version") {
		s.resource(t, id, "AWS::Lambda::Version").at("Description").is("secrets: version 1")
	}
	testNoCircles(t, s)
}

// With a bus and a webhook, the three functions that deliver events may do so, and nobody else.
func TestTemplateWithEvents(t *testing.T) {
	t.Parallel()
	const bus = "arn:aws:events:eu-central-1:123456789012:event-bus/platform"
	s := transform(t, with(production, map[string]string{
		"EventsBus": bus, "EventsWebhookUrl": "https://api.example.com/hooks",
		"EventsWebhookSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:webhook-AbCdEf",
	}))
	deliverers := []string{"DeliverEventsFunction", "ObjectCreatedFunction", "SweepUploadsFunction"}
	for _, role := range s.ids("AWS::IAM::Role") {
		want := slices.Contains(deliverers, strings.TrimSuffix(role, "Role"))
		if got := slices.Contains(grants(t, s, role), "events:PutEvents on "+bus); got != want {
			t.Errorf("%s may put events: %t", role, got)
		}
	}
	for _, id := range deliverers {
		environment := s.resource(t, id, "AWS::Lambda::Function").at("Environment.Variables")
		environment.at("EVENTS_BUS").is(bus)
		environment.at("EVENTS_WEBHOOK_SECRET").is("{{resolve:secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:webhook-AbCdEf:SecretString}}")
	}
	if got := with(production, map[string]string{"EventsWebhookUrl": "https://api.example.com/hooks"}); len(transform(t, got).refusals()) != 1 {
		t.Error("a webhook without a secret is not refused")
	}
}

// With KmsKeyArn bucket, queues, logs and the functions' variables are under that key, and the functions may use it.
func TestTemplateWithKey(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-central-1:123456789012:key/0f1"
	s := transform(t, with(production, map[string]string{"KmsKeyArn": key}))
	encryption := s.resource(t, "TracksBucket", "AWS::S3::Bucket").at("BucketEncryption.ServerSideEncryptionConfiguration.0")
	encryption.at("ServerSideEncryptionByDefault").is(map[string]any{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key})
	encryption.at("BucketKeyEnabled").is(true)
	for _, id := range s.ids("AWS::SQS::Queue") {
		s.resource(t, id, "AWS::SQS::Queue").at("KmsMasterKeyId").is(key)
		s.resource(t, id, "AWS::SQS::Queue").at("SqsManagedSseEnabled").is(nil)
	}
	for _, id := range s.ids("AWS::Logs::LogGroup") {
		s.resource(t, id, "AWS::Logs::LogGroup").at("KmsKeyId").is(key)
	}
	for _, id := range s.ids("AWS::Lambda::Function") {
		s.resource(t, id, "AWS::Lambda::Function").at("KmsKeyArn").is(key)
		for _, right := range on(key, "kms:Decrypt", "kms:GenerateDataKey") {
			if !slices.Contains(grants(t, s, id+"Role"), right) {
				t.Errorf("%s lacks %s", id, right)
			}
		}
	}
}

// In China and in GovCloud, ARNs begin otherwise.
func TestTemplateInOtherPartitions(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"template.yaml", "statemachines/migrate-storage.asl.json"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, fixed := range regexp.MustCompile(`arn:aws:[^ ]*|[a-z.]+\.amazonaws\.com/|console\.aws[^ ]*`).FindAllString(string(content), -1) {
			t.Errorf("%s: %s is of one partition alone", file, fixed)
		}
	}
}
