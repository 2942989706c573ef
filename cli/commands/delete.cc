// `allod delete`: ends what its kind lets end.

#include "cli/commands/delete.h"

#include <fmt/format.h>

#include "cli/kinds/registry.h"
#include "cli/terminal/confirm.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

Status Delete(const Globals& globals, const DeleteOptions& options) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind(options.kind));
  if (!kind->remove) {
    return InvalidArgument(
        "NOT_DELETABLE",
        kind->plural == "tenants"
            ? fmt::format("a tenant is deleted by `allod tenants delete {}`, which asks first and keeps a "
                          "way back",
                          options.name)
            : fmt::format("{} cannot be deleted", kind->plural));
  }
  return DeleteOne(globals, *kind, options);
}

}  // namespace

Status DeleteOne(const Globals& globals, const kinds::ResourceKind& kind, const DeleteOptions& options) {
  ALLOD_TRY([[maybe_unused]] const auto segments, MatchName("name", options.name, kind.pattern));
  if (!kind.lost.empty()) {
    ALLOD_CHECK_OK(terminal::Confirm(fmt::format("{} is to be deleted: {}", options.name, kind.lost), options.yes));
  }
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const net::Change change, kind.remove(services, options.name, Uuid::V7().ToString()));
  if (options.wait) ALLOD_CHECK_OK(net::WaitForChange(services, change, "delete " + options.name));
  const bool is_gone = options.wait || change.operation.name().empty();
  const char* const gone = kind.plural == "apiKeys"    ? "is revoked"
                           : kind.plural == "sessions" ? "is ended"
                                                       : "is deleted";
  if (globals.json()) {
    terminal::Print(fmt::format("{{\"name\": \"{}\", \"deleted\": {}}}\n", options.name, is_gone));
  } else {
    terminal::Print(fmt::format("{} {}\n", options.name, is_gone ? gone : "is being deleted"));
  }
  return {};
}

void AddYesOption(CLI::App& command, DeleteOptions& options) { command.add_flag("--yes", options.yes, "Do not ask"); }

void AddDelete(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<DeleteOptions>(
      app, globals, "delete",
      "Delete an instance, a budget, an event sink, an identity provider, a workload rule, a role or a member, end a "
      "session, or revoke an API key",
      &Delete);
  command->add_option("kind", options->kind, kinds::KindNames([](const auto& kind) { return kind.remove != nullptr; }))
      ->required();
  command->add_option("name", options->name, "Its full name")->required();
  command->add_flag("--wait,!--no-wait", options->wait, "Wait until it is gone (default)");
  AddYesOption(*command, *options);
}

}  // namespace allod::cli::commands
