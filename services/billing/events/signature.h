// Signatures of webhooks in the manner of the Standard Webhooks specification (github.com/standard-webhooks, v1):
// HMAC-SHA-256 over "{id}.{timestamp}.{body}", in base64 behind "v1,". Pure.
//
// The database holds no secret: that of a sink is derived (HKDF) from one of the installation's and a random salt,
// which changes when it is rotated.
#pragma once

#include <string>
#include <string_view>

#include "services/common/ids.h"

namespace allod::billing::events {

// Standard base64 with padding (RFC 4648 section 4).
std::string EncodeBase64(std::string_view bytes);

class SinkSecrets {
 public:
  explicit SinkSecrets(std::string root) : root_(std::move(root)) {}

  // 32 bytes. `sink` is its full name.
  std::string Secret(std::string_view sink, const Uuid& salt) const;
  // As receivers are given it: "whsec_" and base64.
  std::string Shown(std::string_view sink, const Uuid& salt) const;

 private:
  std::string root_;
};

// "v1,{base64}". `seconds`: since 1970, the value of webhook-timestamp.
std::string SignWebhook(std::string_view secret, std::string_view id, std::int64_t seconds, std::string_view body);

}  // namespace allod::billing::events
