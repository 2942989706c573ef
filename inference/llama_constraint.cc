#include "inference/llama_constraint.h"

#include <fmt/format.h>
#include <json-schema-to-grammar.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <string_view>
#include <utility>

#include "inference/allocation_budget.h"
#include "inference/deep_stack.h"
#include "inference/llama_runtime.h"

namespace allod::inference {
namespace {

constexpr std::size_t kBytesMax = 64 << 10;
constexpr int kDepthMax = 32;
constexpr std::size_t kGrammarBytesMax = 1 << 20;
constexpr std::size_t kStateBytesMax = 16 << 20;

constexpr AllocationBudget::Limits kCompileLimits{.bytes_max = 32 << 20,
                                                  .allocation_bytes_max = 8 << 20,
                                                  .processor_time_max = std::chrono::milliseconds(500),
                                                  .stack_bytes_max = 16 << 20};
// Masking a large vocabulary takes a few milliseconds.
constexpr AllocationBudget::Limits kTokenLimits{.bytes_max = 48 << 20,
                                                .allocation_bytes_max = 32 << 20,
                                                .processor_time_max = std::chrono::milliseconds(200),
                                                .stack_bytes_max = 1 << 20};

std::unexpected<Error> Invalid(std::string_view what) {
  constexpr std::size_t kMessageMax = 300;
  return InvalidArgument("INVALID_CONSTRAINT", fmt::format("the constraint cannot be used: {}",
                                                           what.substr(0, std::min(what.find('\n'), kMessageMax))));
}

// Nesting of brackets outside strings.
int DepthOf(std::string_view json) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

Result<std::string> Convert(const std::string& schema) {
  Result<std::string> result = std::string();
  const Status ran = RunOnDeepStack([&] {
    const AllocationBudget budget(kCompileLimits);
    try {
      result = json_schema_to_grammar(common_json::parse(schema), /*force_gbnf=*/true);
    } catch (const BudgetExceeded& e) {
      result = Invalid(e.what());
    } catch (const std::exception& e) {
      result = Invalid(e.what());
    }
  });
  ALLOD_CHECK_OK(ran);
  if (result && result->size() > kGrammarBytesMax) return Invalid("its grammar would be larger than 1 MiB");
  return result;
}

struct ToGrammar {
  Result<std::string> operator()(const NoConstraint& /*none*/) const { return std::string(); }
  Result<std::string> operator()(const JsonObjectConstraint& /*any*/) const { return Convert(R"({"type":"object"})"); }
  Result<std::string> operator()(const JsonSchemaConstraint& constraint) const {
    ALLOD_CHECK_OK(CheckSchema(constraint.schema, "the JSON schema", "INVALID_CONSTRAINT"));
    return Convert(constraint.schema);
  }
  Result<std::string> operator()(const GrammarConstraint& constraint) const {
    if (constraint.gbnf.empty()) return Invalid("the grammar is empty");
    if (constraint.gbnf.size() > kBytesMax) return Invalid("the grammar has more than 64 KiB");
    return constraint.gbnf;
  }
};

}  // namespace

Status CheckSchema(const std::string& schema, const std::string& what, const char* reason) {
  const auto refuse = [&](std::string_view why) { return InvalidArgument(reason, fmt::format("{} {}", what, why)); };
  if (schema.size() > kBytesMax) return refuse("has more than 64 KiB");
  if (DepthOf(schema) > kDepthMax) return refuse("is nested deeper than 32");
  try {
    if (!common_json::parse(schema).is_object()) return refuse("is no JSON object");
  } catch (const std::exception&) {
    return refuse("is no valid JSON");
  }
  return {};
}

Result<std::string> GrammarOf(const std::string& schema, const char* reason) {
  auto grammar = Convert(schema);
  if (!grammar) grammar.error().reason = reason;
  return grammar;
}

Result<std::string> GrammarOf(const OutputConstraint& constraint) { return std::visit(ToGrammar{}, constraint); }

void Constraint::SamplerDeleter::operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }

Constraint::~Constraint() = default;

Result<std::unique_ptr<Constraint>> Constraint::Compile(const llama_vocab& vocab, const GrammarPlan& plan) {
  Result<std::unique_ptr<Constraint>> result = Invalid("the grammar does not parse");
  std::vector<const char*> patterns;
  for (const std::string& pattern : plan.trigger_patterns) patterns.push_back(pattern.c_str());
  const Status ran = RunOnDeepStack([&] {
    const AllocationBudget budget(kCompileLimits);
    ExpectLlamaErrors(true);
    try {
      SamplerPtr sampler(plan.is_lazy ? llama_sampler_init_grammar_lazy_patterns(
                                            &vocab, plan.gbnf.c_str(), "root", patterns.data(), patterns.size(),
                                            plan.trigger_tokens.data(), plan.trigger_tokens.size())
                                      : llama_sampler_init_grammar(&vocab, plan.gbnf.c_str(), "root"));
      if (sampler) {
        if (!plan.is_lazy) {
          for (const std::int32_t token : plan.prefill) llama_sampler_accept(sampler.get(), token);
        }
        result = std::unique_ptr<Constraint>(new Constraint(std::move(sampler)));
      } else if (!LastLlamaError().empty()) {
        result = Invalid(LastLlamaError());
      }
    } catch (const std::exception& e) {
      result = Invalid(e.what());
    }
  });
  ALLOD_CHECK_OK(ran);
  return result;
}

template <typename Fn>
Status Constraint::WithinBudget(Fn fn) {
  const auto refuse = [](std::string_view why) {
    return InvalidArgument("CONSTRAINT_TOO_COSTLY",
                           fmt::format("the constraint cannot be followed any further: {}; simplify it", why));
  };
  try {
    const AllocationBudget budget(kTokenLimits);
    fn();
    bytes_ += budget.bytes();
  } catch (const std::exception& e) {
    return refuse(e.what());
  }
  if (bytes_ > static_cast<std::ptrdiff_t>(kStateBytesMax)) return refuse("it takes too much memory");
  return {};
}

Result<std::unique_ptr<Constraint>> Constraint::Copy() const {
  const AllocationBudget budget(kCompileLimits);
  try {
    SamplerPtr copy(llama_sampler_clone(sampler_.get()));
    return std::unique_ptr<Constraint>(new Constraint(std::move(copy)));
  } catch (const std::exception& e) {
    return Invalid(e.what());
  }
}

Result<bool> Constraint::Allows(std::int32_t token) {
  llama_token_data one{token, 0, 0};
  llama_token_data_array row{&one, 1, -1, false};
  ALLOD_CHECK_OK(WithinBudget([&] { llama_sampler_apply(sampler_.get(), &row); }));
  return one.logit != -INFINITY;
}

Result<bool> Constraint::Mask(std::span<float> logits) {
  std::vector<llama_token_data> all(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) all[i] = {static_cast<llama_token>(i), logits[i], 0};
  llama_token_data_array row{all.data(), all.size(), -1, false};
  ALLOD_CHECK_OK(WithinBudget([&] { llama_sampler_apply(sampler_.get(), &row); }));
  bool any = false;
  for (const llama_token_data& one : all) {
    logits[static_cast<std::size_t>(one.id)] = one.logit;
    any = any || one.logit > -INFINITY;
  }
  return any;
}

Status Constraint::Accept(std::int32_t token) {
  return WithinBudget([&] { llama_sampler_accept(sampler_.get(), token); });
}

}  // namespace allod::inference
