// `allod terms set|get|list`: what was agreed with a tenant beside price books.

#include "allod/billing/v1/price_terms.grpc.pb.h"
#include "cli/commands/may_be_done.h"
#include "cli/commands/tenant_commands.h"
#include "cli/commands/terms_options.h"
#include "cli/net/connections.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using TermsService = billing_v1::PriceTermsService;

constexpr int kVersionsListedMax = 1'000;

void PrintTerms(const Globals& globals, const billing_v1::AgreedTerms& terms) {
  terminal::Print(globals.json() ? terminal::ToJson(terms) : ShowTerms(terms));
}

Status SetTerms(const Globals& globals, const TermsOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  billing_v1::SetPriceTermsRequest request;
  ALLOD_TRY(*request.mutable_price_terms(), TermsFrom(options, tenant));
  request.set_validate_only(options.dry_run);
  request.set_request_id(RequestIdOr(options.request_id));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  const auto set = net::Ask<TermsService>(services, &TermsService::Stub::SetPriceTerms, request);
  if (!set) return std::unexpected(ToRepeat(set.error(), request.request_id()));
  if (options.dry_run && !globals.json()) terminal::Print("Nothing was set; this would be:\n");
  PrintTerms(globals, *set);
  return {};
}

Status GetTerms(const Globals& globals, const TermsOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_CHECK_OK(CheckId("--version", options.version));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::GetPriceTermsRequest request;
  request.set_name(tenant + "/priceTerms/" + options.version);
  const auto terms = net::Ask<TermsService>(services, &TermsService::Stub::GetPriceTerms, request);
  if (!terms) {
    if (terms.error().code == Code::kNotFound) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
    return std::unexpected(terms.error());
  }
  PrintTerms(globals, *terms);
  return {};
}

Status ListTerms(const Globals& globals, const TermsOptions& options) {
  ALLOD_TRY(const std::string tenant, TenantNameOf(options.tenant));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  billing_v1::ListPriceTermsRequest request;
  request.set_parent(tenant);
  ALLOD_TRY(const auto listed,
            net::List<TermsService>(services, &TermsService::Stub::ListPriceTerms, request, kVersionsListedMax));
  if (listed.items.empty()) ALLOD_CHECK_OK(CheckThereIs(services, tenant));
  terminal::PrintList(globals.json(),
                      {{"NAME", "name"},
                       {"FROM", "start_period"},
                       {"FREE", "free_amount"},
                       {"COMMITMENT", "commitment.monthly_amount"},
                       {"MONTHS", "commitment.months"},
                       {"SET", "create_time"},
                       {"NOTE", "note"}},
                      terminal::PointersTo(listed.items));
  return {};
}

}  // namespace

void AddTerms(CLI::App& app, Globals& globals) {
  CLI::App* terms = app.add_subcommand("terms", "Show or set what was agreed with a tenant beside price books");
  terms->require_subcommand(1);
  const auto add = [&](const char* name, const char* what, auto run) {
    const auto [command, options] = AddCommand<TermsOptions>(*terms, globals, name, what, run);
    command->add_option("tenant", options->tenant, kTenantHelp)->required();
    return std::pair(command, options);
  };
  const auto [set, of_set] =
      add("set", "Add a version of a tenant's price terms; what is not named is not agreed", &SetTerms);
  set->add_option("--from", of_set->start, "YYYY-MM from which it counts (default: this month)");
  set->add_option("--free-tokens", of_set->free_tokens, "[MODEL=]TOKENS a month; may be repeated")
      ->allow_extra_args(false);
  set->add_option("--tier", of_set->tiers, "[MODEL=]FROM_TOKENS:PERCENT off above so many a month; may be repeated")
      ->allow_extra_args(false);
  set->add_option("--discount", of_set->discounts, "[MODEL=]PERCENT off; may be repeated")->allow_extra_args(false);
  set->add_option("--free-amount", of_set->free_amount, "AMOUNT a month, in the account's currency");
  set->add_option("--commit", of_set->commitment,
                  "AMOUNT:MONTHS[:PERCENT]: at least so much a month, and what is off for it");
  set->add_option("--service-level", of_set->service_level,
                  "BELOW:PERCENT, as in 99.5:10: what is given back of an instance; may be repeated")
      ->allow_extra_args(false);
  set->add_option("--note", of_set->note, "What was agreed where");
  set->add_flag("--dry-run", of_set->dry_run, "Check it, and set nothing");
  AddRequestIdOption(*set, of_set->request_id);
  const auto [get, of_get] = add("get", "Show the price terms that a tenant has", &GetTerms);
  get->add_option("--version", of_get->version, "NUMBER of a version (default: that of this month)");
  add("list", "List all versions of a tenant's price terms", &ListTerms);
}

}  // namespace allod::cli::commands
