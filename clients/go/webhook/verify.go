// Package webhook is what a receiver does with a webhook before it believes it: Standard Webhooks, `v1`.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	taskflow "taskflow/gen/go/taskflow/v1"
)

// Tolerance is how old a request may be, or how far ahead of this machine's clock.
const Tolerance = 5 * time.Minute

// ErrInvalid says that the request is not, or no longer, to be believed: answer 400.
var ErrInvalid = errors.New("invalid webhook")

// Verify returns the event in a request, if one of the secrets signed it within the Tolerance before or after now.
//
// The body is what came over the wire, to the byte. The same event may come more than once, always with the same
// webhook-id: keep that to tell. Unknown fields are passed over, so that new ones break no receiver. An error is
// ErrInvalid, or says which of the secrets is none.
func Verify(body []byte, header http.Header, now time.Time, secrets ...string) (*taskflow.WebhookEvent, error) {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return nil, fmt.Errorf("%w: webhook-id is missing, or webhook-timestamp is not a number", ErrInvalid)
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return nil, fmt.Errorf("%w: webhook-timestamp is too far from now", ErrInvalid)
	}
	fits, err := signedByOne(body, id+"."+timestamp+".", header.Get("webhook-signature"), secrets)
	if err != nil {
		return nil, err
	}
	if !fits {
		return nil, fmt.Errorf("%w: no signature fits", ErrInvalid)
	}
	event := &taskflow.WebhookEvent{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, event); err != nil {
		return nil, fmt.Errorf("%w: the body is no event: %w", ErrInvalid, err)
	}
	return event, nil
}

func signedByOne(body []byte, prefix, signatures string, secrets []string) (bool, error) {
	fits := false
	for place, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 {
			return false, fmt.Errorf("secret %d is not whsec_ and base64", place)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(prefix))
		mac.Write(body)
		wanted := mac.Sum(nil)
		for signature := range strings.FieldsSeq(signatures) {
			version, encoded, _ := strings.Cut(signature, ",")
			given, err := base64.StdEncoding.DecodeString(encoded)
			if version == "v1" && err == nil && hmac.Equal(given, wanted) {
				fits = true
			}
		}
	}
	return fits, nil
}
