// Signing in without a browser of one's own: the device authorization grant (RFC 8628) at an OpenID provider.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::net {

struct DeviceClient {
  std::string issuer;
  std::string client_id;
  std::vector<std::string> scopes;  // beside `openid`
};

// What a person has to do, on whatever device.
struct DevicePrompt {
  std::string url;
  std::string code;
  std::string url_with_code;  // empty: the provider gives none
  std::chrono::seconds life{0};
};

// Asks the provider, has `show` tell the person, and waits until it has agreed: the ID token. FAILED_PRECONDITION /
// NO_DEVICE_FLOW where the provider does not offer it; UNAUTHENTICATED / SIGN_IN_FAILED with what it says;
// DEADLINE_EXCEEDED / CODE_EXPIRED.
Result<std::string> DeviceLogin(const DeviceClient& client, const std::function<void(const DevicePrompt&)>& show);

// Whether what goes to this URL is read by nobody on the way: https, or http on this machine. INVALID_ARGUMENT /
// NOT_HTTPS, naming `what`.
Status CheckPrivate(std::string_view what, std::string_view url);

}  // namespace allod::cli::net
