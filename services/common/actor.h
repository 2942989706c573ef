// Who does something, as it is remembered: in the audit log, which outlives whoever it names. A value.
#pragma once

#include <string>

namespace allod {

struct Actor {
  // "operator", "service", "node", "tenant" (as a whole), "person", "workload" or "api_key".
  std::string kind;
  // Which one: "tenants/ke", "tenants/ke/sessions/UUID", "tenants/ke/projects/p/apiKeys/KID", "nodes/n", "gateway"; of
  // operators the role by which they act: "operator", "support". Never what says who a person is: that is erasable only
  // as a personal detail of an entry (audit/entry.h).
  std::string id;
  // What it was shown by, where that has a name of its own: a key's id, never its secret.
  std::string credential;

  bool operator==(const Actor&) const = default;
};

}  // namespace allod
