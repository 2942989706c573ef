// The kinds of credentials that there are, told apart by how they begin. Thread-safe, as its parts are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/access/authenticator.h"

namespace allod::gateway::access {

class Credentials final : public Authenticator {
 public:
  struct Kind {
    std::string prefix;  // of the bearer token
    const Authenticator* authenticator;
  };
  // What begins with none of the prefixes is `other`'s to judge. All must outlive this.
  Credentials(std::vector<Kind> kinds, const Authenticator& other) : kinds_(std::move(kinds)), other_(other) {}

  Result<Principal> Authenticate(std::string_view authorization, const std::optional<IpAddress>& client) const override;

 private:
  const std::vector<Kind> kinds_;
  const Authenticator& other_;
};

}  // namespace allod::gateway::access
