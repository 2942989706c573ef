// Small JSON objects that leave the installation and come back unchanged or not at all: tokens and cookies that say for
// themselves what they stand for. Every gateway of an installation opens them without asking anybody, because they are
// sealed with a key that is derived from its API key pepper. Sealed is not secret: whoever holds one can read it.
// Thread-safe.
//
// A prefix, and base64url of the object and an HMAC-SHA-256 of it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "services/common/digest.h"

namespace allod::gateway::federation {

class SealedJson {
 public:
  // `salt` keeps what is sealed for one purpose from being taken for another; `chars_max` bounds what is looked at.
  SealedJson(std::string_view pepper, std::string_view salt, std::string prefix, std::size_t chars_max);

  std::string Seal(const nlohmann::json& object) const;
  // Nothing of what was not sealed here with this salt; not a byte of it is read before its seal was found to be right.
  std::optional<nlohmann::json> Open(std::string_view text) const;

 private:
  const Digest256 key_;
  const std::string prefix_;
  const std::size_t chars_max_;
};

}  // namespace allod::gateway::federation
