#include "gateway/sign_in/attempt.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "services/common/digest.h"
#include "services/common/jose/base64url.h"

namespace allod::gateway::sign_in {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr char kAttemptSalt[] = "allod attempts to sign in";
constexpr std::size_t kAttemptCharsMax = 3000;
constexpr std::size_t kPathBytesMax = 512;
// Where a person is told who it is.
constexpr char kHome[] = "/auth/whoami";

std::string RandomText() {
  std::array<std::uint8_t, 32> bytes{};
  FillRandom(bytes);
  return jose::EncodeBase64Url({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

Attempt NewAttempt(std::string provider, std::string return_to, Time now) {
  return {std::move(provider), std::move(return_to), RandomText(),
          RandomText(),        RandomText(),         std::chrono::floor<seconds>(now + kAttemptLife)};
}

std::string SafePath(std::string_view path) {
  // "//host" and, to some browsers, "/\\host" are other origins.
  const bool is_path = path.starts_with('/') && !path.starts_with("//") && path.size() <= kPathBytesMax &&
                       std::ranges::all_of(path, [](char c) { return c > ' ' && c <= '~' && c != '\\'; });
  return is_path ? std::string(path) : kHome;
}

AttemptSealer::AttemptSealer(std::string_view pepper) : seal_(pepper, kAttemptSalt, "", kAttemptCharsMax) {}

std::string AttemptSealer::Seal(const Attempt& attempt) const {
  return seal_.Seal({{"idp", attempt.provider},
                     {"to", attempt.return_to},
                     {"state", attempt.state},
                     {"nonce", attempt.nonce},
                     {"verifier", attempt.verifier},
                     {"exp", attempt.expire_time.time_since_epoch() / seconds(1)}});
}

Result<Attempt> AttemptSealer::Open(std::string_view text, Time now) const {
  const auto none = [] {
    return Fail(
        Code::kUnauthenticated, "NO_ATTEMPT",
        "this browser has not begun to sign in here, under this name of the gateway, in the last ten minutes; begin "
        "again at /auth/sign-in?tenant=TENANT");
  };
  const auto opened = seal_.Open(text);
  if (!opened) return none();
  Attempt out;
  try {
    out = {opened->at("idp").get<std::string>(),      opened->at("to").get<std::string>(),
           opened->at("state").get<std::string>(),    opened->at("nonce").get<std::string>(),
           opened->at("verifier").get<std::string>(), Time(seconds(opened->at("exp").get<std::int64_t>()))};
  } catch (const json::exception&) {
    return none();
  }
  if (now >= out.expire_time) return none();
  return out;
}

}  // namespace allod::gateway::sign_in
