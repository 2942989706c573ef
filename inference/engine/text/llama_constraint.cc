#include "inference/engine/text/llama_constraint.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <string_view>
#include <utility>

#include "inference/engine/text/allocation_budget.h"
#include "inference/engine/text/bounded_repeats.h"
#include "inference/engine/text/deep_stack.h"
#include "inference/model/llama_runtime.h"
#include "inference/schema/ambiguity.h"
#include "inference/schema/gbnf.h"
#include "inference/schema/schema.h"

namespace allod::inference::engine::text {
namespace {

constexpr std::size_t kBytesMax = 64 << 10;
constexpr std::size_t kStateBytesMax = 16 << 20;
constexpr std::size_t kPieceBytesMax = 16 << 20;
// Of one character or group, where a trigger allows any number: each is a call on the decode thread's stack.
constexpr unsigned kRepeatsMax = 64;

constexpr AllocationBudget::Limits kCompileLimits{.bytes_max = 32 << 20,
                                                  .allocation_bytes_max = 8 << 20,
                                                  .processor_time_max = std::chrono::milliseconds(200),
                                                  .stack_bytes_max = 16 << 20};
std::unexpected<Error> Invalid(std::string_view what) {
  constexpr std::size_t kMessageMax = 300;
  return InvalidArgument("INVALID_CONSTRAINT", fmt::format("the constraint cannot be used: {}",
                                                           what.substr(0, std::min(what.find('\n'), kMessageMax))));
}

// Runs a conversion of foreign text within the limits of a compilation.
template <typename Fn>
Result<std::string> Converted(std::string_view what, Fn convert) {
  Result<std::string> result = std::string();
  const auto refuse = [&](std::string_view why) {
    return InvalidArgument("INVALID_CONSTRAINT", fmt::format("the {} cannot be used: {}", what, why));
  };
  const Status ran = RunOnDeepStack([&] {
    const AllocationBudget budget(kCompileLimits);
    try {
      if (std::expected<std::string, std::string> grammar = convert()) {
        result = *std::move(grammar);
      } else {
        result = refuse(grammar.error());
      }
    } catch (const std::exception& e) {
      result = refuse(e.what());
    }
  });
  ALLOD_CHECK_OK(ran);
  return result;
}

Result<std::string> OfSchema(const std::string& text) {
  return Converted("JSON schema", [&] { return schema::SchemaToGbnf(text); });
}

struct ToGrammar {
  Result<std::string> operator()(const ports::NoConstraint& /*none*/) const { return std::string(); }
  Result<std::string> operator()(const ports::JsonObjectConstraint& /*any*/) const {
    return OfSchema(R"({"type":"object"})");
  }
  Result<std::string> operator()(const ports::JsonSchemaConstraint& constraint) const {
    return OfSchema(constraint.schema);
  }
  Result<std::string> operator()(const ports::GrammarConstraint& constraint) const {
    if (constraint.gbnf.empty()) return Invalid("the grammar is empty");
    if (constraint.gbnf.size() > kBytesMax) return Invalid("the grammar has more than 64 KiB");
    // llama.cpp is given the client's own text; it says less about what is wrong with it.
    return Converted("grammar", [&]() -> std::expected<std::string, std::string> {
      const auto parsed = schema::ParseGbnf(constraint.gbnf);
      if (!parsed) return std::unexpected(parsed.error());
      return constraint.gbnf;
    });
  }
};

}  // namespace

Result<std::string> GrammarOf(const ports::OutputConstraint& constraint) { return std::visit(ToGrammar{}, constraint); }

void Constraint::SamplerDeleter::operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }

Constraint::~Constraint() = default;

Result<std::unique_ptr<Constraint>> Constraint::Compile(const llama_vocab& vocab, const GrammarPlan& plan) {
  Result<std::unique_ptr<Constraint>> result = Invalid("the grammar does not parse");
  std::vector<std::string> bounded;
  for (const std::string& pattern : plan.trigger_patterns) bounded.push_back(WithBoundedRepeats(pattern, kRepeatsMax));
  std::vector<const char*> patterns;
  for (const std::string& pattern : bounded) patterns.push_back(pattern.c_str());
  const Status ran = RunOnDeepStack([&] {
    const AllocationBudget budget(kCompileLimits);
    const model::ClientsText quiet;
    try {
      // Here, where every grammar passes, whoever wrote it: the client, our own code for schemas and plain calls, or
      // llama.cpp for a template's calls.
      if (const std::string why = schema::WhyTooAmbiguous(plan.gbnf); !why.empty()) {
        result = Invalid(why);
        return;
      }
      SamplerPtr sampler(plan.is_lazy ? llama_sampler_init_grammar_lazy_patterns(
                                            &vocab, plan.gbnf.c_str(), "root", patterns.data(), patterns.size(),
                                            plan.trigger_tokens.data(), plan.trigger_tokens.size())
                                      : llama_sampler_init_grammar(&vocab, plan.gbnf.c_str(), "root"));
      if (sampler) {
        result = std::unique_ptr<Constraint>(new Constraint(vocab, std::move(sampler)));
      } else if (!model::LastLlamaError().empty()) {
        // It goes on with the client's own text.
        result = Invalid(model::LastLlamaError().substr(0, model::LastLlamaError().find(" at ")));
      }
    } catch (const std::exception& e) {
      result = Invalid(e.what());
    }
  });
  ALLOD_CHECK_OK(ran);
  return result;
}

namespace {

std::unexpected<Error> TooCostly(std::string_view why) {
  return InvalidArgument("CONSTRAINT_TOO_COSTLY",
                         fmt::format("the constraint cannot be followed any further: {}. Make the grammar less "
                                     "ambiguous, or the schema simpler",
                                     why));
}

}  // namespace

template <typename Fn>
Result<bool> Constraint::Run(Fn fn) {
  const auto start = ThreadProcessorTime();
  bool within = true;
  std::ptrdiff_t grown = 0;
  std::string failure;
  {
    const AllocationBudget budget({.bytes_max = kPieceBytesMax,
                                   .allocation_bytes_max = kPieceBytesMax,
                                   .processor_time_max = kLimits.piece,
                                   .stack_bytes_max = 1 << 20});
    const model::ClientsText quiet;
    try {
      fn();
      grown = budget.bytes();
    } catch (const BudgetExceeded&) {
      within = false;
    } catch (const std::exception& e) {
      failure = e.what();
    }
  }
  bytes_ += grown;
  used_ += ThreadProcessorTime() - start;
  if (!failure.empty()) return TooCostly(failure);
  ALLOD_CHECK_OK(CheckTotals());
  return within;
}

Status Constraint::CheckTotals() const {
  if (bytes_ > static_cast<std::ptrdiff_t>(kStateBytesMax)) return TooCostly("it takes too much memory");
  if (used_ <= kLimits.at_first + accepted_ * kLimits.per_token) return {};
  return TooCostly(fmt::format(
      "it took {} ms of the processor for {} tokens; {} ms and {} ms for each token are allowed",
      used_ / std::chrono::milliseconds(1), accepted_, kLimits.at_first.count(), kLimits.per_token.count()));
}

Status Constraint::Check(std::span<const std::int32_t> tokens, std::span<bool> allowed) {
  std::vector<llama_token_data> some;
  for (const std::int32_t token : tokens) some.push_back({token, 0, 0});
  llama_token_data_array row{some.data(), some.size(), -1, false};
  // Changes nothing but the row, so that it may be repeated with fewer tokens.
  ALLOD_TRY(const bool within, Run([&] { llama_sampler_apply(sampler_.get(), &row); }));
  if (!within && tokens.size() > 1) return Fail(Code::kResourceExhausted, "PIECE_TOO_COSTLY", "fewer tokens, please");
  if (!within)
    return TooCostly(fmt::format("to check one token takes more than {} ms or too much memory", kLimits.piece.count()));
  for (std::size_t i = 0; i < some.size(); ++i) allowed[i] = some[i].logit > -INFINITY;
  return {};
}

Status Constraint::Accept(std::int32_t token) {
  ++accepted_;
  ALLOD_TRY(const bool within, Run([&] { llama_sampler_accept(sampler_.get(), token); }));
  if (within) return {};
  return TooCostly(
      fmt::format("to take one token over takes more than {} ms or too much memory", kLimits.piece.count()));
}

bool Constraint::IsEnd(std::int32_t token) const { return llama_vocab_is_eog(&vocab_, token); }

}  // namespace allod::inference::engine::text
