#include "gateway/sign_in/session_token.h"

#include <fmt/format.h>

#include "services/common/digest.h"

namespace allod::gateway::sign_in {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr char kSessionSalt[] = "allod sessions";
constexpr std::size_t kShortGroundsDigits = 16;

std::unexpected<Error> NoSession() {
  return Fail(Code::kUnauthenticated, "INVALID_TOKEN", "this is no session of this installation; sign in again");
}

std::int64_t InSeconds(Time time) { return std::chrono::floor<seconds>(time).time_since_epoch().count(); }

}  // namespace

std::string ShortGrounds(const federation::Member& member) {
  return Sha256Hex(member.grounds).substr(0, kShortGroundsDigits);
}

SessionSealer::SessionSealer(std::string_view pepper)
    : seal_(pepper, kSessionSalt, kSessionTokenPrefix, kSessionTokenCharsMax) {}

Result<std::string> SessionSealer::Seal(const SessionToken& token) const {
  json members = json::array();
  for (const SessionToken::Held& held : token.members) members.push_back({held.id, held.grounds});
  std::string out = seal_.Seal({{"id", token.id.ToString()},
                                {"idp", token.provider},
                                {"sub", token.subject},
                                {"name", token.display_name},
                                {"members", std::move(members)},
                                {"exp", InSeconds(token.expire_time)},
                                {"end", InSeconds(token.end_time)}});
  if (out.size() <= kSessionTokenCharsMax && token.members.size() <= kMembersPerSessionMax) return out;
  return Fail(
      Code::kResourceExhausted, "TOO_MANY_MEMBERSHIPS",
      fmt::format("you are {} members of the tenant at once, more than a session can hold; ask an owner to make "
                  "them fewer",
                  token.members.size()));
}

Result<SessionToken> SessionSealer::Open(std::string_view text, Time now) const {
  const auto opened = seal_.Open(text);
  if (!opened) return NoSession();
  SessionToken out;
  try {
    ALLOD_TRY(out.id, Uuid::Parse(opened->at("id").get<std::string>()));
    out.provider = opened->at("idp").get<std::string>();
    out.subject = opened->at("sub").get<std::string>();
    out.display_name = opened->at("name").get<std::string>();
    for (const json& held : opened->at("members")) {
      out.members.push_back({held.at(0).get<std::string>(), held.at(1).get<std::string>()});
    }
    out.expire_time = Time(seconds(opened->at("exp").get<std::int64_t>()));
    out.end_time = Time(seconds(opened->at("end").get<std::int64_t>()));
  } catch (const json::exception&) {
    return NoSession();  // of a later version
  }
  if (now >= out.expire_time || now >= out.end_time) {
    return Fail(Code::kUnauthenticated, "SESSION_EXPIRED", "this session is over; sign in again");
  }
  return out;
}

}  // namespace allod::gateway::sign_in
