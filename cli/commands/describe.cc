// `allod describe`: everything of one resource.

#include "cli/commands/commands.h"
#include "cli/kinds/registry.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

struct DescribeOptions {
  std::string kind;
  std::string name;
};

Status Describe(const Globals& globals, const DescribeOptions& options) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind(options.kind));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const terminal::MessagePtr message, kinds::GetOne(services, *kind, options.name));
  terminal::Print(globals.json() ? terminal::ToJson(*message) : message->Utf8DebugString());
  return {};
}

}  // namespace

void AddDescribe(CLI::App& app, Globals& globals) {
  const auto [command, options] =
      AddCommand<DescribeOptions>(app, globals, "describe", "Show everything of one resource", &Describe);
  command->add_option("kind", options->kind, kinds::KindNames())->required();
  command->add_option("name", options->name, "Its full name; of tenants and others without a parent the id is enough")
      ->required();
}

}  // namespace allod::cli::commands
