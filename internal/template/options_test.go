package template_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTemplateWithCertificates(t *testing.T) {
	t.Parallel()
	const layer = "arn:aws:lambda:eu-central-1:123456789012:layer:rds:3"
	s := transform(t, with(production, map[string]string{"CertificatesLayerArn": layer}))
	for _, id := range s.ids("AWS::Lambda::Function") {
		s.resource(t, id, "AWS::Lambda::Function").at("Layers").is([]string{layer})
	}
}

// With CdnPublicKey a distribution stands before the bucket, plays what that key's owner signed, and the API signs by it. A
// second key goes beside the first one, so that the keys can be changed.
func TestTemplateWithCDN(t *testing.T) {
	t.Parallel()
	const secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cdn-AbCdEf"
	for name, test := range map[string]struct {
		first, second, signing string
		keys                   []string
		signs                  string
	}{
		"one key":               {"first", "", "CdnPublicKey", []string{"<TracksCdnKey>"}, "<TracksCdnKey>"},
		"both are taken":        {"first", "second", "CdnPublicKey", []string{"<TracksCdnKey>", "<TracksSecondCdnKey>"}, "<TracksCdnKey>"},
		"the second signs":      {"first", "second", "CdnSecondPublicKey", []string{"<TracksCdnKey>", "<TracksSecondCdnKey>"}, "<TracksSecondCdnKey>"},
		"the first is given up": {"", "second", "CdnSecondPublicKey", []string{"<TracksSecondCdnKey>"}, "<TracksSecondCdnKey>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := transform(t, with(production, map[string]string{
				"CdnPublicKey": test.first, "CdnSecondPublicKey": test.second, "CdnSigningKey": test.signing, "CdnPrivateKeySecretArn": secret,
			}))
			if refusals := s.refusals(); refusals != nil {
				t.Fatalf("refused: %q", refusals)
			}
			s.resource(t, "TracksKeyGroup", "AWS::CloudFront::KeyGroup").at("KeyGroupConfig.Items").is(test.keys)
			plays := s.resource(t, "TracksDistribution", "AWS::CloudFront::Distribution").at("DistributionConfig.DefaultCacheBehavior")
			plays.at("TrustedKeyGroups").is([]string{"<TracksKeyGroup>"})
			plays.at("ViewerProtocolPolicy").is("https-only")
			environment := s.resource(t, "PresignUploadFunction", "AWS::Lambda::Function").at("Environment.Variables")
			environment.at("PLAYBACK_CDN_URL").is("https://<TracksDistribution.DomainName>")
			environment.at("PLAYBACK_CDN_KEY_ID").is(test.signs)
			environment.at("PLAYBACK_CDN_PRIVATE_KEY").is("{{resolve:secretsmanager:" + secret + ":SecretString}}")
			reads := s.resource(t, "TracksBucketPolicy", "AWS::S3::BucketPolicy").at("PolicyDocument.Statement.2")
			reads.at("Principal.Service").is("cloudfront.amazonaws.com")
			reads.at("Condition.StringEquals").is(map[string]string{"AWS:SourceArn": "arn:aws:cloudfront::123456789012:distribution/<TracksDistribution>"})
			testNoCircles(t, s)
		})
	}
	for _, lacks := range []map[string]string{
		{"CdnPublicKey": "first"},
		{"CdnPublicKey": "first", "CdnPrivateKeySecretArn": secret, "CdnSigningKey": "CdnSecondPublicKey"},
	} {
		if refusals := transform(t, with(production, lacks)).refusals(); len(refusals) != 1 {
			t.Errorf("%v: %q", lacks, refusals)
		}
	}
	s := transform(t, production)
	if s.exists("TracksDistribution") {
		t.Error("there is a distribution that nobody asked for")
	}
	s.resource(t, "TracksBucketPolicy", "AWS::S3::BucketPolicy").at("PolicyDocument.Statement.2").is(nil)
	s.resource(t, "PresignUploadFunction", "AWS::Lambda::Function").at("Environment.Variables.PLAYBACK_CDN_URL").is("")
}

// The policy that docs/deploy.md gives a key lets S3 send events, and CloudWatch write every log that the stack has.
func TestPolicyOfTheKey(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, policy, _ := strings.Cut(string(page), `    {"Sid": "S3SendsEventsIntoTheQueue"`)
	policy, _, _ = strings.Cut(policy, "\n\n")
	var statements []struct {
		Sid       string
		Principal struct{ Service string }
		Action    []string
		Condition struct {
			StringEquals map[string]string
			ArnLike      map[string][]string
		}
	}
	if err := json.Unmarshal([]byte(`[{"Sid": "S3SendsEventsIntoTheQueue"`+policy+`]`), &statements); err != nil || len(statements) != 2 {
		t.Fatalf("%d statements, %v", len(statements), err)
	}
	events, logs := statements[0], statements[1]
	for _, right := range []string{"kms:GenerateDataKey*", "kms:Decrypt"} {
		if events.Principal.Service != "s3.amazonaws.com" || !slices.Contains(events.Action, right) {
			t.Errorf("S3 lacks %s", right)
		}
	}
	if events.Condition.StringEquals["aws:SourceAccount"] != "123456789012" {
		t.Error("S3 may use the key for any account's buckets")
	}
	if logs.Principal.Service != "logs.eu-central-1.amazonaws.com" {
		t.Errorf("logs are written by %s", logs.Principal.Service)
	}
	s := transform(t, production)
	for _, id := range s.ids("AWS::Logs::LogGroup") {
		group := "arn:aws:logs:eu-central-1:123456789012:log-group:" + s.resource(t, id, "AWS::Logs::LogGroup").at("LogGroupName").string()
		if !slices.ContainsFunc(logs.Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"], func(like string) bool {
			return strings.HasPrefix(group, strings.TrimSuffix(like, "*"))
		}) {
			t.Errorf("nothing lets %s be written", group)
		}
	}
}
