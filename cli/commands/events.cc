// `allod events sinks create|list|get|update|delete|rotate|test|replay`: to which webhooks a tenant's events are sent.

#include <fmt/format.h>

#include <vector>

#include "allod/billing/v1/event_sink.grpc.pb.h"
#include "cli/commands/delete.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/times.h"
#include "cli/kinds/registry.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using Sinks = billing_v1::EventSinkService;

constexpr char kKindHelp[] =
    "A kind of event, e.g. usage.recorded or budget.* for all that begin so; repeat it for more (docs/events.md)";

struct SinkOptions {
  std::string tenant;
  std::string sink;
  std::string url;
  std::string display_name;
  std::vector<std::string> kinds;
  bool all_kinds = false;
  bool enable = false;
  bool disable = false;
  std::string overlap = "24h";
  std::int64_t sequence = 0;
  DeleteOptions deletion;
};

const kinds::ResourceKind& SinkKind() { return **kinds::FindKind("eventSinks"); }

Result<std::string> SinkName(const SinkOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("sink", options.sink));
  return tenant + "/eventSinks/" + options.sink;
}

Status ShowSink(const Globals& globals, const billing_v1::EventSink& sink) {
  terminal::Print(globals.json() ? terminal::ToJson(sink) : terminal::MessageTable(SinkKind().columns, {&sink}));
  return {};
}

void ShowSecret(const Globals& globals, const billing_v1::EventSinkWithSecret& made) {
  if (globals.json()) return terminal::Print(terminal::ToJson(made));
  terminal::Print(
      fmt::format("{}\nsecret: {}\nIt is not shown again; the receiver verifies webhook-signature with it "
                  "(docs/events.md).\n",
                  made.event_sink().name(), made.secret()));
}

Status CreateSink(const Globals& globals, const SinkOptions& options) {
  billing_v1::CreateEventSinkRequest request;
  ALLOD_TRY(*request.mutable_parent(), TenantNameOf(options.tenant));
  request.set_event_sink_id(options.sink);
  billing_v1::EventSink& sink = *request.mutable_event_sink();
  sink.set_display_name(options.display_name.empty() ? options.sink : options.display_name);
  sink.set_url(options.url);
  for (const std::string& kind : options.kinds) sink.add_kinds(kind);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto made, net::Ask<Sinks>(services, &Sinks::Stub::CreateEventSink, request));
  ShowSecret(globals, made);
  return {};
}

Result<billing_v1::EventSink> FindSink(const net::Services& services, const SinkOptions& options) {
  billing_v1::GetEventSinkRequest request;
  ALLOD_TRY(*request.mutable_name(), SinkName(options));
  return net::Ask<Sinks>(services, &Sinks::Stub::GetEventSink, request);
}

Status GetSink(const Globals& globals, const SinkOptions& options) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto sink, FindSink(services, options));
  return ShowSink(globals, sink);
}

Status ListSinks(const Globals& globals, const SinkOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto sinks, SinkKind().list(services, tenant));
  if (sinks.empty()) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  terminal::PrintList(globals.json(), SinkKind().columns, terminal::PointersTo(sinks));
  return {};
}

Status UpdateSink(const Globals& globals, const SinkOptions& options) {
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::UpdateEventSinkRequest request;
  ALLOD_TRY(*request.mutable_event_sink(), FindSink(services, options));
  billing_v1::EventSink& sink = *request.mutable_event_sink();
  if (!options.url.empty()) sink.set_url(options.url);
  if (!options.display_name.empty()) sink.set_display_name(options.display_name);
  if (options.all_kinds || !options.kinds.empty()) sink.clear_kinds();
  for (const std::string& kind : options.kinds) sink.add_kinds(kind);
  if (options.enable || options.disable) sink.set_disabled(options.disable);
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_TRY(const auto changed, net::Ask<Sinks>(services, &Sinks::Stub::UpdateEventSink, request));
  return ShowSink(globals, changed);
}

Status DeleteSink(const Globals& globals, const SinkOptions& options) {
  DeleteOptions deletion = options.deletion;
  ALLOD_TRY(deletion.name, SinkName(options));
  return DeleteOne(globals, SinkKind(), deletion);
}

Status Rotate(const Globals& globals, const SinkOptions& options) {
  billing_v1::RotateEventSinkSecretRequest request;
  ALLOD_TRY(*request.mutable_name(), SinkName(options));
  ALLOD_TRY(const auto overlap, ParseDuration("--overlap", options.overlap));
  request.mutable_overlap()->set_seconds(overlap.count());
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto rotated, net::Ask<Sinks>(services, &Sinks::Stub::RotateEventSinkSecret, request));
  ShowSecret(globals, rotated);
  return {};
}

Status Test(const Globals& globals, const SinkOptions& options) {
  billing_v1::TestEventSinkRequest request;
  ALLOD_TRY(*request.mutable_name(), SinkName(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto answer, net::Ask<Sinks>(services, &Sinks::Stub::TestEventSink, request));
  if (globals.json()) terminal::Print(terminal::ToJson(answer));
  if (!answer.delivered()) return FailedPrecondition("NOT_DELIVERED", answer.error());
  if (!globals.json()) terminal::Print("delivered\n");
  return {};
}

Status Replay(const Globals& globals, const SinkOptions& options) {
  billing_v1::ReplayEventsRequest request;
  ALLOD_TRY(*request.mutable_name(), SinkName(options));
  request.set_sequence(options.sequence);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto answer, net::Ask<Sinks>(services, &Sinks::Stub::ReplayEvents, request));
  if (globals.json()) {
    terminal::Print(terminal::ToJson(answer));
  } else {
    terminal::Print(fmt::format("sent again from {} on\n", answer.first_sequence()));
  }
  return {};
}

}  // namespace

void AddEvents(CLI::App& app, Globals& globals) {
  CLI::App& group = *app.add_subcommand("events", "Send a tenant's events to webhooks: usage, invoices, alerts");
  group.require_subcommand(1);
  CLI::App& sinks = *group.add_subcommand("sinks", "The webhooks of a tenant");
  sinks.require_subcommand(1);
  {
    const auto [command, options] = AddCommand<SinkOptions>(
        sinks, globals, "create", "Send events to a webhook from now on; shows its secret once", &CreateSink);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    command->add_option("sink", options->sink, "SINK: what it is to be called")->required();
    command->add_option("--url", options->url, "https://HOST/PATH")->required();
    command->add_option("--kind", options->kinds, kKindHelp)->allow_extra_args(false);
    command->add_option("--display-name", options->display_name, "In words (default: its id)");
  }
  {
    const auto [command, options] =
        AddCommand<SinkOptions>(sinks, globals, "list", "List them and how they do", &ListSinks);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
  }
  const auto of_one = [&](const char* name, const char* what, Status (*run)(const Globals&, const SinkOptions&)) {
    auto made = AddCommand<SinkOptions>(sinks, globals, name, what, run);
    made.app->add_option("tenant", made.options->tenant, kTenantHelp)->required();
    made.app->add_option("sink", made.options->sink, "SINK: the last part of its name")->required();
    return made;
  };
  of_one("get", "Show one and how it does", &GetSink);
  {
    const auto [command, options] = of_one("update", "Change one; one that was suspended goes on", &UpdateSink);
    command->add_option("--url", options->url, "https://HOST/PATH");
    CLI::Option* kinds = command->add_option("--kind", options->kinds, kKindHelp)->allow_extra_args(false);
    command->add_flag("--all-kinds", options->all_kinds, "Every kind of event")->excludes(kinds);
    command->add_option("--display-name", options->display_name, "In words");
    CLI::Option* enable =
        command->add_flag("--enable", options->enable, "Send to it again, from what is still there on");
    command->add_flag("--disable", options->disable, "Send nothing to it, and keep nothing for it")->excludes(enable);
  }
  {
    const auto [command, options] = of_one("delete", "Send nothing to one any more", &DeleteSink);
    AddYesOption(*command, options->deletion);
  }
  {
    const auto [command, options] = of_one("rotate", "Make a new secret for one; shows it once", &Rotate);
    command->add_option("--overlap", options->overlap,
                        "How long there is a signature by the present secret as well: 7d, 12h, or 0 (default: 24h)");
  }
  of_one("test", "Send one event at once and say what was answered", &Test);
  {
    const auto [command, options] = of_one("replay", "Send events again, as far as they are still there", &Replay);
    command->add_option("--from", options->sequence, "The sequence of the first (default: the oldest that is there)")
        ->check(CLI::NonNegativeNumber);
  }
}

}  // namespace allod::cli::commands
