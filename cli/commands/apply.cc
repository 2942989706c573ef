// `allod apply -f FILE`: makes what is there equal to what a manifest says. Shows the plan first; safe to repeat.

#include "cli/apply/apply.h"

#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands/commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"

namespace allod::cli {
namespace {

using google::protobuf::Message;

struct Options {
  std::string file;
  bool dry_run = false;
  bool wait = true;
};

Result<std::vector<Document>> ReadDocuments(const Options& options) {
  if (options.file == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    return ParseManifest("standard input", text, ManifestKinds());
  }
  ALLOD_TRY(const std::string text, ReadFile(options.file));
  return ParseManifest(options.file, text, ManifestKinds());
}

Status Apply(const Globals& globals, const Options& options) {
  // The whole file is read and judged before anything is changed.
  ALLOD_TRY(std::vector<Document> documents, ReadDocuments(options));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  ALLOD_TRY(const std::vector<Step> steps, PlanSteps(state, std::move(documents)));
  if (!globals.json()) Print(ToText(steps));
  if (options.dry_run) {
    if (globals.json()) Print(ToJson(steps));
    return {};
  }
  ALLOD_CHECK_OK(CarryOut(state, steps, options.wait));
  if (globals.json()) {
    std::vector<MessagePtr> now;
    std::vector<const Message*> shown;
    for (const Step& step : steps) {
      ALLOD_TRY(MessagePtr message, step.kind->get(state, step.document.name));
      shown.push_back(message.get());
      now.push_back(std::move(message));
    }
    Print(ToJsonList(shown));
  }
  return {};
}

}  // namespace

void AddApplyCommand(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* apply = app.add_subcommand(
      "apply", "Make what is there equal to a manifest: tenants, projects, billing accounts, listings, instances");
  apply->add_option("-f,--file", options->file, "YAML file, or - for standard input")->required();
  apply->add_flag("--dry-run", options->dry_run,
                  "Only show the plan: what would be created, and which fields changed from what to what");
  apply->add_flag("--wait,!--no-wait", options->wait, "Wait until instances are ready (default)");
  apply->callback([&globals, options] { globals.action = [&globals, options] { return Apply(globals, *options); }; });
}

}  // namespace allod::cli
