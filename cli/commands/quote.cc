// `allod quote`: what the instance of a manifest would cost, before it is made. What is said binds until it expires.

#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "allod/scheduling/v1/quote.grpc.pb.h"
#include "cli/apply/apply.h"
#include "cli/commands/commands.h"
#include "cli/installation/files.h"
#include "cli/kinds/calls.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;

struct QuoteOptions {
  std::string file;
  std::int64_t requests_per_day = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  int hours_per_day = 0;
};

// The instance of the manifest, which has nothing else.
Result<scheduling_v1::Instance> ReadInstance(const QuoteOptions& options) {
  std::vector<apply::Document> documents;
  if (options.file == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    ALLOD_TRY(documents, apply::ParseManifest("standard input", text, apply::ManifestKinds()));
  } else {
    ALLOD_TRY(const std::string text, installation::ReadFile(options.file));
    ALLOD_TRY(documents, apply::ParseManifest(options.file, text, apply::ManifestKinds()));
  }
  if (documents.size() != 1 || documents[0].kind != "Instance") {
    return InvalidArgument("INVALID_MANIFEST", fmt::format("{}: holds {} documents; a quote is of one Instance alone",
                                                           options.file, documents.size()));
  }
  return dynamic_cast<const scheduling_v1::Instance&>(*documents[0].resource);
}

std::string ForPeople(const scheduling_v1::Quote& quote) {
  const std::string& currency = quote.currency_code();
  const scheduling_v1::QuotedUse& use = quote.use();
  std::string out;
  const auto line = [&](const char* what, const std::string& value) { out += fmt::format("{:<26}{}\n", what, value); };
  line("quote", quote.name());
  line("valid until", terminal::FieldText(quote, "expire_time"));
  line("a million prompt tokens", fmt::format("{} {}", quote.prompt_price_per_million(), currency));
  line("a million answer tokens", fmt::format("{} {}", quote.completion_price_per_million(), currency));
  line("a replica's hour", fmt::format("{} {}", quote.instance_price_per_hour(), currency));
  line("30 days, tokens",
       fmt::format("{} {}, for {} requests a day of {} and {} tokens", quote.monthly_token_cost().amount(), currency,
                   use.requests_per_day(), use.prompt_tokens(), use.completion_tokens()));
  line("30 days, time",
       fmt::format("{} {}, for {} replica{} that answer{} {} hours a day", quote.monthly_time_cost().amount(), currency,
                   quote.spec().replicas(), quote.spec().replicas() == 1 ? "" : "s",
                   quote.spec().replicas() == 1 ? "s" : "", use.hours_per_day()));
  line("30 days, together", fmt::format("{} {}, before tax", quote.monthly_cost().amount(), currency));
  line("fits now", quote.fits() ? "yes" : "no: " + terminal::Plain(quote.fit_message()));
  out += fmt::format("To be billed so, add this to the manifest's spec and apply it before then:\n  quote: {}\n",
                     quote.name());
  return out;
}

Status Quote(const Globals& globals, const QuoteOptions& options) {
  ALLOD_TRY(const scheduling_v1::Instance instance, ReadInstance(options));
  scheduling_v1::CreateQuoteRequest request;
  request.set_parent(kinds::ParentOf(instance.name()));
  request.set_request_id(Uuid::V7().ToString());
  *request.mutable_quote()->mutable_spec() = instance.spec();
  // Another quote, if the manifest has one already.
  request.mutable_quote()->mutable_spec()->clear_quote();
  scheduling_v1::QuotedUse& use = *request.mutable_quote()->mutable_use();
  use.set_requests_per_day(options.requests_per_day);
  use.set_prompt_tokens(options.prompt_tokens);
  use.set_completion_tokens(options.completion_tokens);
  use.set_hours_per_day(options.hours_per_day);
  ALLOD_TRY(const net::Services services, FindServices(globals));
  using Service = scheduling_v1::QuoteService;
  ALLOD_TRY(const auto quote, net::Ask<Service>(services, &Service::Stub::CreateQuote, request));
  terminal::Print(globals.json() ? terminal::ToJson(quote) : ForPeople(quote));
  return {};
}

}  // namespace

void AddQuote(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<QuoteOptions>(
      app, globals, "quote",
      "Say what the instance of a manifest would cost, bindingly for 14 days, and whether there is room for it now; "
      "`allod get quotes` lists what was said",
      &Quote);
  command->add_option("-f,--file", options->file, "YAML file with one Instance, or - for standard input")->required();
  command->add_option("--requests-per-day", options->requests_per_day, "Requests to reckon with (default: none)");
  command->add_option("--prompt-tokens", options->prompt_tokens, "Prompt tokens of each");
  command->add_option("--completion-tokens", options->completion_tokens, "Tokens of each answer");
  command->add_option(
      "--hours-per-day", options->hours_per_day,
      "Hours of a day in which the replicas answer: 1 to 24 (default: 24); what sleeps costs nothing by "
      "the hour");
}

}  // namespace allod::cli::commands
