#include "services/common/pg/connection_string.h"

#include <libpq-fe.h>

#include <memory>

namespace allod {

Result<std::map<std::string, std::string>> ParseConnectionString(const std::string& text) {
  char* complaint = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(text.c_str(), &complaint), &PQconninfoFree);
  PQfreemem(complaint);
  if (!options) {
    return InvalidArgument("INVALID_CONFIG",
                           "url is not a PostgreSQL connection string; write it as "
                           "postgresql://user@host:port/database or as \"host=... dbname=... user=...\"");
  }
  std::map<std::string, std::string> out;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) out[option->keyword] = option->val;
  }
  return out;
}

std::string ToConnectionString(const std::map<std::string, std::string>& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += ' ';
    out += name + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += '\'';
  }
  return out;
}

}  // namespace allod
