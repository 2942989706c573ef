#include "gateway/federation/workload_token.h"

#include <nlohmann/json.hpp>

namespace allod::gateway::federation {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// Of a token: a subject of 1024 bytes, escaped, and names.
constexpr std::size_t kTokenCharsMax = 12 << 10;
constexpr char kSalt[] = "allod workload tokens";

std::unexpected<Error> Invalid() {
  return Fail(Code::kUnauthenticated, "INVALID_TOKEN",
              "this is no token of this installation, or it was cut; exchange the workload's own token for a new one");
}

std::int64_t SecondsOf(Time time) { return std::chrono::floor<seconds>(time).time_since_epoch().count(); }

}  // namespace

WorkloadTokenSealer::WorkloadTokenSealer(std::string_view pepper)
    : seal_(pepper, kSalt, kWorkloadTokenPrefix, kTokenCharsMax) {}

std::string WorkloadTokenSealer::Seal(const WorkloadToken& token) const {
  json roles = json::array();
  for (const Role role : token.roles.List()) roles.push_back(std::string(WordOfRole(role)));
  return seal_.Seal({{"custom_roles", token.custom_roles},
                     {"id", token.id.ToString()},
                     {"rule", token.rule},
                     {"grounds", token.grounds},
                     {"idp", token.provider},
                     {"sub", token.subject},
                     {"inference", token.inference},
                     {"portal", token.portal},
                     {"roles", roles},
                     {"iat", SecondsOf(token.issue_time)},
                     {"exp", SecondsOf(token.expire_time)}});
}

Result<WorkloadToken> WorkloadTokenSealer::Open(std::string_view text, Time now) const {
  const auto opened = seal_.Open(text);
  if (!opened) return Invalid();
  const json& fields = *opened;
  WorkloadToken out;
  try {
    ALLOD_TRY(out.id, Uuid::Parse(fields.at("id").get<std::string>()));
    out.rule = fields.at("rule").get<std::string>();
    out.grounds = fields.at("grounds").get<std::string>();
    out.provider = fields.at("idp").get<std::string>();
    out.subject = fields.at("sub").get<std::string>();
    out.inference = fields.at("inference").get<bool>();
    out.portal = fields.at("portal").get<bool>();
    for (const json& word : fields.at("roles")) {
      if (const auto role = RoleOf(word.get<std::string>())) out.roles.Add(*role);
    }
    // One of before has none.
    if (fields.contains("custom_roles")) out.custom_roles = fields.at("custom_roles").get<std::vector<std::string>>();
    out.issue_time = Time(seconds(fields.at("iat").get<std::int64_t>()));
    out.expire_time = Time(seconds(fields.at("exp").get<std::int64_t>()));
  } catch (const json::exception&) {
    return Invalid();  // of a later version
  }
  if (now >= out.expire_time) {
    return Fail(Code::kUnauthenticated, "TOKEN_EXPIRED",
                "this token has expired; exchange the workload's own token for a new one");
  }
  return out;
}

}  // namespace allod::gateway::federation
