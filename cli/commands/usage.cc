// `allod usage`: a tenant's requests, as they were billed or as nodes computed them.

#include <fmt/format.h>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "cli/commands/tenant_commands.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {

void AddUsageReports(CLI::App& usage, Globals& globals);

namespace {

namespace billing_v1 = allod::billing::v1;

struct UsageOptions {
  std::string tenant;
  std::string instance;
  int limit = 20;
  bool computed = false;
  bool time = false;
  std::string period;
};

template <typename Request>
Request RequestOf(const UsageOptions& options) {
  Request request;
  request.set_parent(options.tenant);
  request.set_instance(options.instance);
  return request;
}

// What nodes told that they computed for a tenant.
Status ShowComputed(const Globals& globals, const net::Services& services, const UsageOptions& options) {
  using Service = billing_v1::ComputedUsageService;
  ALLOD_TRY(const net::Listed events,
            net::List<Service>(services, &Service::Stub::ListComputedUsage,
                               RequestOf<billing_v1::ListComputedUsageRequest>(options), options.limit));
  if (events.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, options.tenant));
  terminal::PrintList(globals.json(),
                      {{"REQUEST", "request_id"},
                       {"INSTANCE", "instance"},
                       {"NODE", "node"},
                       {"OUTCOME", "outcome"},
                       {"PROMPT", "prompt_tokens_computed"},
                       {"CACHED", "prompt_tokens_cached"},
                       {"SAMPLED", "sampled_tokens"},
                       {"STARTED", "start_time"}},
                      terminal::PointersTo(events.items));
  return {};
}

Status ShowBilled(const Globals& globals, const net::Services& services, const UsageOptions& options) {
  using Service = billing_v1::UsageService;
  ALLOD_TRY(const net::Listed records,
            net::List<Service>(services, &Service::Stub::ListUsageRecords,
                               RequestOf<billing_v1::ListUsageRecordsRequest>(options), options.limit));
  if (records.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, options.tenant));
  terminal::PrintList(globals.json(),
                      {{"REQUEST", "name"},
                       {"INSTANCE", "instance"},
                       {"CLASS", "isolation_class"},
                       {"OUTCOME", "outcome"},
                       {"PROMPT", "prompt_tokens"},
                       {"COMPLETION", "completion_tokens"},
                       {"COST", "cost.amount"},
                       {"", "cost.currency_code"},
                       {"ADMITTED", "admit_time"}},
                      terminal::PointersTo(records.items));
  if (records.has_more && !globals.json()) {
    terminal::Print(fmt::format("(the newest {}; --limit shows more)\n", records.items.size()));
  }
  return {};
}

// How long instances answered.
Status ShowTime(const Globals& globals, const net::Services& services, const UsageOptions& options) {
  using Service = billing_v1::InstanceTimeService;
  billing_v1::ListInstanceTimeRequest request;
  request.set_parent(options.tenant);
  request.set_month(options.period);
  ALLOD_TRY(const net::Listed times,
            net::List<Service>(services, &Service::Stub::ListInstanceTime, request, options.limit));
  if (times.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, options.tenant));
  terminal::PrintList(globals.json(),
                      {{"MONTH", "month"},
                       {"INSTANCE", "instance"},
                       {"CLASS", "isolation_class"},
                       {"SECONDS", "seconds"},
                       {"PER HOUR", "price_per_hour.amount"},
                       {"COST", "amount.amount"},
                       {"", "amount.currency_code"}},
                      terminal::PointersTo(times.items));
  return {};
}

Status Usage(const Globals& globals, const UsageOptions& options) {
  if (options.tenant.empty()) return InvalidArgument("NAME_REQUIRED", "give the tenant: allod usage tenants/TENANT");
  UsageOptions asked = options;
  ALLOD_TRY(asked.tenant, TenantNameOf(options.tenant));
  if (asked.time && (asked.computed || !asked.instance.empty())) {
    return InvalidArgument("INVALID_OPTIONS", "--time shows every instance; leave --computed and --instance out");
  }
  if (!asked.time && !asked.period.empty()) {
    return InvalidArgument("INVALID_OPTIONS", "--period is for --time");
  }
  ALLOD_TRY(const net::Services services, FindServices(globals));
  if (asked.time) return ShowTime(globals, services, asked);
  return asked.computed ? ShowComputed(globals, services, asked) : ShowBilled(globals, services, asked);
}

}  // namespace

void AddUsage(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<UsageOptions>();
  CLI::App* command = app.add_subcommand("usage", "Show a tenant's requests, newest first; report and export usage");
  command->add_option("tenant", options->tenant, kTenantHelp);
  command->add_option("--instance", options->instance, "tenants/T/projects/P/instances/I: only this one");
  command->add_flag("--computed", options->computed,
                    "Show what nodes told that they computed, instead of what was delivered and billed");
  command->add_flag("--time", options->time,
                    "Show for how long the replicas of instances answered, by month, and what that costs");
  command->add_option("--period", options->period, "With --time: YYYY-MM or current (default: all months)");
  command->add_option("--limit", options->limit, "How many (default: 20)")->check(CLI::Range(1, 100'000));
  command->require_subcommand(0, 1);
  AddUsageReports(*command, globals);
  // It is called after its subcommand's.
  command->callback([&globals, options, command] {
    if (command->get_subcommands().empty()) {
      globals.action = [&globals, options] { return Usage(globals, *options); };
    }
  });
}

}  // namespace allod::cli::commands
