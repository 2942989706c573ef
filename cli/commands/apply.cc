// `allod apply -f FILE`: makes what is there equal to what a manifest says. Shows the plan first; safe to repeat.

#include "cli/apply/apply.h"

#include <iostream>
#include <iterator>

#include "cli/commands/commands.h"
#include "cli/installation/files.h"
#include "cli/kinds/registry.h"
#include "cli/terminal/confirm.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

using terminal::Print;

struct ApplyOptions {
  std::string file;
  bool dry_run = false;
  bool yes = false;
  bool wait = true;
};

Result<std::vector<apply::Document>> ReadDocuments(const ApplyOptions& options) {
  if (options.file == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    return apply::ParseManifest("standard input", text, apply::ManifestKinds());
  }
  ALLOD_TRY(const std::string text, installation::ReadFile(options.file));
  return apply::ParseManifest(options.file, text, apply::ManifestKinds());
}

Status Apply(const Globals& globals, const ApplyOptions& options) {
  // The whole file is read and judged before anything is changed.
  ALLOD_TRY(std::vector<apply::Document> documents, ReadDocuments(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const std::vector<apply::Step> steps, apply::PlanSteps(services, std::move(documents)));
  if (!globals.json()) Print(apply::ToText(steps));
  if (options.dry_run) {
    if (globals.json()) Print(apply::ToJson(steps));
    return {};
  }
  if (const std::string stopping = apply::Stopping(steps); !stopping.empty()) {
    ALLOD_CHECK_OK(terminal::Confirm(stopping, options.yes));
  }
  ALLOD_CHECK_OK(apply::CarryOut(services, steps, options.wait));
  if (globals.json()) {
    std::vector<terminal::MessagePtr> now;
    for (const apply::Step& step : steps) {
      ALLOD_TRY(terminal::MessagePtr message, step.kind->get(services, step.document.name));
      now.push_back(std::move(message));
    }
    Print(terminal::ToJsonList(terminal::PointersTo(now)));
  }
  return {};
}

}  // namespace

void AddApply(CLI::App& app, Globals& globals) {
  const auto [command, options] =
      AddCommand<ApplyOptions>(app, globals, "apply",
                               "Make what is there equal to a manifest, which may hold " +
                                   kinds::KindNames([](const auto& kind) { return kind.create != nullptr; }),
                               &Apply);
  command->add_option("-f,--file", options->file, "YAML file, or - for standard input")->required();
  command->add_flag("--dry-run", options->dry_run,
                    "Only show the plan: what would be created, and which fields changed from what to what");
  command->add_flag("--yes", options->yes, "Do not ask when a change stops something, such as a narrower residency");
  command->add_flag("--wait,!--no-wait", options->wait,
                    "Wait until instances are ready, also those that need no change (default)");
}

}  // namespace allod::cli::commands
