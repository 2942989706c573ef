// The secrets by which issuers know this installation, as they are stored: sealed with AES-SIV (RFC 5297), a
// deterministic AEAD, under keys derived from the installation's pepper, for one provider's name. So what the database
// has opens without the pepper nowhere, under another provider's name neither, and the same secret again is the same
// text, which makes a retry of its setting no change.
//
// Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace allod::tenancy {

class ClientSecrets {
 public:
  explicit ClientSecrets(std::string_view pepper);

  // base64url. `provider` is the full name.
  std::string Seal(std::string_view provider, std::string_view secret) const;
  // Nothing for what was not sealed so: under another pepper, for another provider, or changed since.
  std::optional<std::string> Open(std::string_view provider, std::string_view sealed) const;

 private:
  std::array<std::uint8_t, 64> key_;  // that of the tag, then that of the encryption
};

}  // namespace allod::tenancy
