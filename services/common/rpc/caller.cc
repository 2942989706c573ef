#include "services/common/rpc/caller.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <optional>

#include "services/common/ids.h"

namespace allod {
namespace {

constexpr char kMetadataKey[] = "allod-caller";
constexpr std::size_t kWordsMax = 16;

std::unexpected<Error> NoCaller(std::string_view why) {
  return Fail(
      Code::kUnauthenticated, "NO_CALLER",
      fmt::format("{}; state the metadata {} as operator, service:NAME, node:NAME, tenant:ID or tenant:ID project:ID "
                  "key:KID (or rule:ID) scopes:WORD,WORD roles:WORD,WORD or tenant:ID session:UUID roles:WORD "
                  "projects:ID=WORD+WORD,ID=WORD, or tenant:ID from:ID session:UUID roles:WORD projects:",
                  why, kMetadataKey));
}

// "key:value" without the key, of the words that `text` begins with; what follows stays in `text`.
std::optional<std::string_view> TakeWord(std::string_view key, std::string_view& text) {
  if (!text.starts_with(key)) return std::nullopt;
  text.remove_prefix(key.size());
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return value;
}

// "a,b", or with another separator.
std::optional<std::vector<std::string>> ParseWords(std::string_view text, char separator = ',') {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view word = text.substr(0, end);
    const bool valid = !word.empty() && word.size() <= 32 &&
                       std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    if (!valid || out.size() == kWordsMax) return std::nullopt;
    out.emplace_back(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// A role that is not known here permits nothing.
Roles RolesOf(const std::vector<std::string>& words) {
  Roles out;
  for (const std::string& word : words) {
    if (const auto role = RoleOf(word)) out.Add(*role);
  }
  return out;
}

// "p=viewer+billing,q=admin"; each project once, in order.
std::optional<std::vector<ProjectRoles>> ParseProjects(std::string_view text) {
  std::vector<ProjectRoles> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string one(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos) return std::nullopt;
    std::string project = one.substr(0, equals);
    const auto words = ParseWords(std::string_view(one).substr(equals + 1), '+');
    const bool in_order = out.empty() || out.back().project < project;
    if (!CheckId("caller", project) || !words || words->empty() || !in_order || out.size() == Caller::kProjectsMax) {
      return std::nullopt;
    }
    out.push_back({std::move(project), RolesOf(*words)});
  }
  return out;
}

// What follows "session:", after the tenant.
Result<Caller> ParsePerson(std::string tenant, std::string_view session, std::string_view text) {
  if (!Uuid::Parse(session)) return NoCaller("the caller's session is malformed");
  const auto role_words = TakeWord("roles:", text);
  const auto roles = role_words ? ParseWords(*role_words) : std::nullopt;
  if (!roles) return NoCaller("the caller's roles are malformed");
  const auto project_words = TakeWord("projects:", text);
  auto projects = project_words ? ParseProjects(*project_words) : std::nullopt;
  if (!projects || !text.empty()) return NoCaller("the caller's projects are malformed");
  return Caller::Person(std::move(tenant), std::string(session), RolesOf(*roles), *std::move(projects));
}

// "tenant:ke", a person, or "tenant:ke project:p key:kid scopes:a,b roles:c,d", with "rule:id" or nothing in the place
// of "key:".
Result<Caller> ParseTenant(std::string_view text) {
  // TakeWord() takes the blank after a word with it; there is none after the last.
  if (text.ends_with(' ')) return NoCaller("the caller is malformed");
  const auto tenant = TakeWord("tenant:", text);
  if (!tenant || !CheckId("caller", *tenant)) return NoCaller("the caller is malformed");
  if (text.empty()) return Caller::Tenant(std::string(*tenant));
  const auto home = TakeWord("from:", text);
  if (home && (!CheckId("caller", *home) || *home == *tenant)) return NoCaller("where the caller is from is malformed");
  if (const auto session = TakeWord("session:", text)) {
    ALLOD_TRY(Caller person, ParsePerson(std::string(*tenant), *session, text));
    if (home && !person.project_roles.empty()) return NoCaller("the caller's projects are of another tenant");
    if (home) person.home = *home;
    return person;
  }
  if (home) return NoCaller("only a person is from another tenant");
  const auto project = TakeWord("project:", text);
  if (!project || !CheckId("caller", *project)) return NoCaller("the caller's project is malformed");
  const auto kid = TakeWord("key:", text);
  if (kid && !CheckId("caller", *kid)) return NoCaller("the caller's key is malformed");
  const auto rule = TakeWord("rule:", text);
  if (rule && (kid || !CheckId("caller", *rule))) return NoCaller("the caller's rule is malformed");
  const auto scope_words = TakeWord("scopes:", text);
  auto scopes = scope_words ? ParseWords(*scope_words) : std::nullopt;
  if (!scopes) return NoCaller("the caller's scopes are malformed");
  const auto role_words = TakeWord("roles:", text);
  const auto roles = role_words ? ParseWords(*role_words) : std::nullopt;
  if (!roles || !text.empty()) return NoCaller("the caller's roles are malformed");
  if (rule) {
    return Caller::Workload(std::string(*tenant), std::string(*project), std::string(*rule), *std::move(scopes),
                            RolesOf(*roles));
  }
  return Caller::Key(std::string(*tenant), std::string(*project), *std::move(scopes), RolesOf(*roles),
                     std::string(kid.value_or("")));
}

std::string PersonText(const Caller& person) {
  std::string projects;
  for (const auto& [project, roles] : person.project_roles) {
    std::string words = roles.ToString();
    std::ranges::replace(words, ',', '+');
    projects += fmt::format("{}{}={}", projects.empty() ? "" : ",", project, words);
  }
  return fmt::format("tenant:{} {}session:{} roles:{} projects:{}", person.id,
                     person.home.empty() ? "" : fmt::format("from:{} ", person.home), person.session,
                     person.roles.ToString(), projects);
}

}  // namespace

Result<Caller> Caller::Parse(std::string_view text) {
  if (text == "operator") return Operator();
  if (text.starts_with("tenant:")) return ParseTenant(text);
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view id = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (!CheckId("caller", id)) return NoCaller("the caller is malformed");
  if (kind == "service") return Service(std::string(id));
  if (kind == "node") return Node(std::string(id));
  return NoCaller("the caller is malformed");
}

Result<Caller> Caller::From(const grpc::ServerContextBase& context) {
  const auto range = context.client_metadata().equal_range(kMetadataKey);
  if (range.first == range.second) return NoCaller("the call names no caller");
  if (std::next(range.first) != range.second) return NoCaller("the call names more than one caller");
  return Parse(std::string_view(range.first->second.data(), range.first->second.size()));
}

std::string Caller::ToString() const {
  switch (kind) {
    case Kind::kOperator:
      return "operator";
    case Kind::kService:
      return "service:" + id;
    case Kind::kNode:
      return "node:" + id;
    case Kind::kTenant:
      if (is_person()) return PersonText(*this);
      if (!in_project()) return "tenant:" + id;
      return fmt::format("tenant:{} project:{} {}scopes:{} roles:{}", id, project,
                         !kid.empty()    ? fmt::format("key:{} ", kid)
                         : !rule.empty() ? fmt::format("rule:{} ", rule)
                                         : "",
                         fmt::join(scopes, ","), roles.ToString());
  }
  return "";
}

std::string Caller::Owner() const { return kind == Kind::kTenant ? Tenant(own_tenant()).ToString() : ToString(); }

Actor Caller::ToActor() const {
  switch (kind) {
    case Kind::kOperator:
      return {"operator", "", ""};
    case Kind::kService:
      return {"service", id, ""};
    case Kind::kNode:
      return {"node", "nodes/" + id, ""};
    case Kind::kTenant:
      if (is_person()) {
        return {"person", fmt::format("tenants/{}/sessions/{}", own_tenant(), session), session};
      }
      if (!in_project()) return {"tenant", "tenants/" + id, ""};
      if (!rule.empty()) {
        return {"workload", fmt::format("tenants/{}/projects/{}/workloadRules/{}", id, project, rule), rule};
      }
      return {"api_key", fmt::format("tenants/{}/projects/{}{}", id, project, kid.empty() ? "" : "/apiKeys/" + kid),
              kid};
  }
  return {};
}

void Caller::AttachTo(grpc::ClientContext& context) const { context.AddMetadata(kMetadataKey, ToString()); }

}  // namespace allod
