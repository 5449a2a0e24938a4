// Package webhook is what a receiver does with a webhook before it believes it: Standard Webhooks, `v1` and `v1a`.
package webhook

import (
	"crypto/ed25519"
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

// Verify returns the event in a request, if one of the keys fits a signature made within the Tolerance before or after
// now. A key is the secret of the webhook, whsec_, or with ED25519 its public key, whpk_; give the old and the new one
// during a rotation.
//
// The body is what came over the wire, to the byte. The same event may come more than once, always with the same
// webhook-id: keep that to tell. Unknown fields are passed over, so that new ones break no receiver. An error is
// ErrInvalid, or says which of the keys is none.
func Verify(body []byte, header http.Header, now time.Time, keys ...string) (*taskflow.WebhookEvent, error) {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return nil, fmt.Errorf("%w: webhook-id is missing, or webhook-timestamp is not a number", ErrInvalid)
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return nil, fmt.Errorf("%w: webhook-timestamp is too far from now", ErrInvalid)
	}
	signed := append([]byte(id+"."+timestamp+"."), body...)
	fits, err := oneFits(keys, header.Get("webhook-signature"), signed)
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

func oneFits(keys []string, signatures string, signed []byte) (bool, error) {
	fits := false
	for place, key := range keys {
		version, check, err := checkOf(key)
		if err != nil {
			return false, fmt.Errorf("key %d: %w", place, err)
		}
		for signature := range strings.FieldsSeq(signatures) {
			given, encoded, _ := strings.Cut(signature, ",")
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if given == version && err == nil && check(signed, decoded) {
				fits = true
			}
		}
	}
	return fits, nil
}

// checkOf returns the version of the signatures that the key is for, and what checks one of them.
func checkOf(key string) (string, func(signed, signature []byte) bool, error) {
	if encoded, isPublic := strings.CutPrefix(key, "whpk_"); isPublic {
		public, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return "", nil, errors.New("is not whpk_ and base64 of 32 bytes")
		}
		return "v1a", func(signed, signature []byte) bool {
			return ed25519.Verify(public, signed, signature)
		}, nil
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	if err != nil || len(secret) == 0 {
		return "", nil, errors.New("is not whsec_ and base64")
	}
	return "v1", func(signed, signature []byte) bool {
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		return hmac.Equal(signature, mac.Sum(nil))
	}, nil
}
