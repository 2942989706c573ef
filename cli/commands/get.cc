// `allod get`, `describe` and `delete`, over the table of kinds.

#include <fmt/format.h>

#include <cstdio>

#include "cli/commands/commands.h"
#include "cli/kinds/resources.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

using google::protobuf::Message;

struct Options {
  std::string kind;
  std::string name;
  bool wait = true;
};

// A kind that has no method to get one is looked up in its list.
Result<MessagePtr> GetOne(const StateDir& state, const ResourceKind& kind, const std::string& name) {
  ALLOD_TRY([[maybe_unused]] const auto segments, MatchName("name", name, kind.pattern));
  if (kind.get) return kind.get(state, name);
  const auto collection = name.rfind('/', name.rfind('/') - 1);
  ALLOD_TRY(auto all, kind.list(state, kind.parent_pattern.empty() || collection == std::string::npos
                                           ? ""
                                           : name.substr(0, collection)));
  for (auto& message : all) {
    if (FieldText(*message, "name") == name) return std::move(message);
  }
  return NotFound(fmt::format("{} {} does not exist", kind.kind, name));
}

// Whether there is what was listed under: an empty list of a tenant that does not exist would say that it has nothing.
Status CheckParent(const StateDir& state, const std::string& name) {
  for (const ResourceKind& kind : ResourceKinds()) {
    if (!MatchName("name", name, kind.pattern)) continue;
    if (const auto parent = GetOne(state, kind, name); !parent) return std::unexpected(parent.error());
    return {};
  }
  return {};
}

Status Get(const Globals& globals, const Options& options) {
  ALLOD_TRY(const ResourceKind* kind, FindKind(options.kind));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  // A name of the kind shows that one; a name of its parent, or none, lists.
  std::vector<MessagePtr> found;
  if (!options.name.empty() && MatchName("name", options.name, kind->pattern)) {
    ALLOD_TRY(MessagePtr one, GetOne(state, *kind, options.name));
    found.push_back(std::move(one));
  } else if (!kind->list) {
    return InvalidArgument("NAME_REQUIRED", fmt::format("give the name: allod get {} {}", kind->plural, kind->pattern));
  } else if (options.name.empty() && (kind->parent_pattern.empty() || !kind->all_parents.empty())) {
    ALLOD_TRY(found, kind->list(state, kind->all_parents));
  } else {
    if (kind->parent_pattern.empty() || options.name.empty()) {
      return InvalidArgument(
          "INVALID_NAME",
          fmt::format("'{}': give {}{}", options.name, kind->pattern,
                      kind->parent_pattern.empty() ? "" : " or, for the list, " + kind->parent_pattern));
    }
    ALLOD_TRY(found, kind->list(state, options.name));
    if (found.empty()) ALLOD_CHECK_OK(CheckParent(state, options.name));
  }
  if (found.empty() && !globals.json()) {
    std::fprintf(stderr, "no %s%s\n", kind->plural.c_str(),
                 options.name.empty() ? "" : (" in " + options.name).c_str());
    return {};
  }
  std::vector<const Message*> shown;
  for (const auto& message : found) shown.push_back(message.get());
  Print(globals.json() ? ToJsonList(shown) : MessageTable(kind->columns, shown));
  return {};
}

Status Describe(const Globals& globals, const Options& options) {
  ALLOD_TRY(const ResourceKind* kind, FindKind(options.kind));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  ALLOD_TRY(const MessagePtr message, GetOne(state, *kind, options.name));
  Print(globals.json() ? ToJson(*message) : message->Utf8DebugString());
  return {};
}

Status Delete(const Globals& globals, const Options& options) {
  ALLOD_TRY(const ResourceKind* kind, FindKind(options.kind));
  if (!kind->remove) return InvalidArgument("NOT_DELETABLE", fmt::format("{} cannot be deleted", kind->plural));
  ALLOD_TRY([[maybe_unused]] const auto segments, MatchName("name", options.name, kind->pattern));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  ALLOD_TRY(const Change change, kind->remove(state, options.name, Uuid::V7().ToString()));
  if (options.wait) ALLOD_CHECK_OK(WaitForChange(state, change, "delete " + options.name));
  const bool is_gone = options.wait || change.operation.name().empty();
  if (!globals.json()) Print(fmt::format("{} {}\n", options.name, is_gone ? "is deleted" : "is being deleted"));
  return {};
}

}  // namespace

void AddGetCommands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* what, Status (*run)(const Globals&, const Options&)) {
    auto* command = app.add_subcommand(name, what);
    command
        ->add_option("kind", options->kind,
                     "tenants, projects, apiKeys, billingAccounts, publishers, models, versions, variants, listings, "
                     "instances, nodes, workers or regions")
        ->required();
    command->callback(
        [&globals, options, run] { globals.action = [&globals, options, run] { return run(globals, *options); }; });
    return command;
  };
  add("get", "List resources, or show one", &Get)
      ->add_option("name", options->name, "Its name, or the name that it is listed under");
  add("describe", "Show everything of one resource", &Describe)
      ->add_option("name", options->name, "Its full name")
      ->required();
  auto* remove = add("delete", "Delete an instance, or revoke an API key", &Delete);
  remove->add_option("name", options->name, "Its full name")->required();
  remove->add_flag("--wait,!--no-wait", options->wait, "Wait until it is gone (default)");
}

}  // namespace allod::cli
