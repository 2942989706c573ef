// `allod get`: lists resources, or shows one.

#include <fmt/format.h>

#include <cstdio>

#include "cli/commands/commands.h"
#include "cli/kinds/registry.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

struct GetOptions {
  std::string kind;
  std::string name;
};

// Whether there is what was listed under: an empty list of a tenant that does not exist would say that it has nothing.
Status CheckParent(const net::Services& services, const std::string& name) {
  for (const kinds::ResourceKind& kind : kinds::ResourceKinds()) {
    if (!MatchName("name", name, kind.pattern)) continue;
    if (const auto parent = kinds::GetOne(services, kind, name); !parent) return std::unexpected(parent.error());
    return {};
  }
  return {};
}

// A name of the kind shows that one; a name of its parent, or none, lists.
Result<std::vector<terminal::MessagePtr>> Find(const net::Services& services, const kinds::ResourceKind& kind,
                                               const std::string& text) {
  const std::string name = kinds::SpelledOut(kind.parent_pattern, kinds::SpelledOut(kind.pattern, text));
  if (!name.empty() && MatchName("name", name, kind.pattern)) {
    ALLOD_TRY(terminal::MessagePtr one, kinds::GetOne(services, kind, name));
    std::vector<terminal::MessagePtr> found;
    found.push_back(std::move(one));
    return found;
  }
  if (!kind.list) {
    return InvalidArgument("NAME_REQUIRED", fmt::format("give the name: allod get {} {}", kind.plural, kind.pattern));
  }
  if (name.empty() && (kind.parent_pattern.empty() || !kind.all_parents.empty())) {
    return kind.list(services, kind.all_parents);
  }
  if (kind.parent_pattern.empty() || name.empty()) {
    return InvalidArgument("INVALID_NAME",
                           fmt::format("'{}': give {}{}", name, kind.pattern,
                                       kind.parent_pattern.empty() ? "" : " or, for the list, " + kind.parent_pattern));
  }
  ALLOD_TRY(auto found, kind.list(services, name));
  if (found.empty()) ALLOD_CHECK_OK(CheckParent(services, name));
  return found;
}

Status Get(const Globals& globals, const GetOptions& options) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind(options.kind));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto found, Find(services, *kind, options.name));
  if (found.empty() && !globals.json()) {
    std::fprintf(stderr, "no %s%s\n", kind->plural.c_str(),
                 options.name.empty() ? "" : (" in " + options.name).c_str());
    return {};
  }
  terminal::PrintList(globals.json(), kind->columns, terminal::PointersTo(found));
  return {};
}

}  // namespace

void AddGet(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<GetOptions>(app, globals, "get", "List resources, or show one", &Get);
  command->add_option("kind", options->kind, kinds::KindNames())->required();
  command->add_option("name", options->name, "Its name, or the name that it is listed under");
}

}  // namespace allod::cli::commands
