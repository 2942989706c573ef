#include "services/common/audit/entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace allod::audit {
namespace {

Status CheckText(std::string_view what, std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return Internal(fmt::format("audit: the {} has {} bytes; at most {} are kept", what, text.size(), kTextBytesMax));
  }
  if (text.find('\0') != std::string_view::npos) return Internal(fmt::format("audit: the {} holds a NUL", what));
  return {};
}

bool IsDetailName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

Digest256 Commit(const Salt& salt, std::string_view name, std::string_view value) {
  // A detail's name holds no NUL.
  std::string message = "allod.audit.personal.1";
  message.append(1, '\0').append(name).append(1, '\0').append(value);
  return HmacSha256({reinterpret_cast<const char*>(salt.data()), salt.size()}, message);
}

Detail Personal(std::string name, std::string value) {
  Salt salt;
  FillRandom(salt);
  Detail out{std::move(name), std::move(value)};
  out.commitment = Commit(salt, out.name, out.value);
  out.salt = salt;
  return out;
}

Status CheckEntry(const Entry& entry) {
  if (entry.actor.kind.empty() || entry.action.empty()) return Internal("audit: an entry needs an actor and an action");
  ALLOD_CHECK_OK(CheckText("actor's kind", entry.actor.kind));
  ALLOD_CHECK_OK(CheckText("actor", entry.actor.id));
  ALLOD_CHECK_OK(CheckText("credential", entry.actor.credential));
  ALLOD_CHECK_OK(CheckText("action", entry.action));
  ALLOD_CHECK_OK(CheckText("resource", entry.resource));
  ALLOD_CHECK_OK(CheckText("reason", entry.reason));
  ALLOD_CHECK_OK(CheckText("trace", entry.trace_id));
  if (entry.details.size() > kDetailsMax) return Internal("audit: there are too many details");
  std::set<std::string_view> names;
  for (const Detail& detail : entry.details) {
    if (!IsDetailName(detail.name)) return Internal("audit: a detail's name is malformed");
    if (!names.insert(detail.name).second) return Internal("audit: a detail stands twice: " + detail.name);
    ALLOD_CHECK_OK(CheckText(detail.name, detail.value));
  }
  return {};
}

}  // namespace allod::audit
