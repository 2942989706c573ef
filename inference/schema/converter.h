// Makes rules of a document's schemas. Internal to inference/schema.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "inference/schema/document.h"
#include "inference/schema/grammar.h"

namespace allod::inference::schema {

// A rule stands for a set of schemas that all hold for one value: allOf, $ref with siblings, and members that several
// schemas know, come down to such sets, of which there are only so many.
class Converter {
 public:
  // With `for_overlap` the rules allow more: to find out whether two schemas can hold together.
  Converter(Grammar& grammar, bool for_overlap) : grammar_(grammar), for_overlap_(for_overlap) {}

  // What holds for a value; with `alone`, only a schema's own keywords, without those that branch.
  struct Part {
    const Schema* schema = nullptr;
    bool alone = false;
    bool operator==(const Part&) const = default;
    bool operator<(const Part& other) const {
      return std::pair(schema->number_in_document, alone) < std::pair(other.schema->number_in_document, other.alone);
    }
  };
  using Parts = std::set<Part>;

  // Throws SchemaError, TooLarge.
  RuleId RuleFor(const Parts& parts);

 private:
  // Schemas of which each must hold by itself; everything that branches was decided.
  using Flat = std::vector<const Schema*>;

  RuleId Wanted(const Parts& parts);
  void Fill(RuleId rule, const Parts& parts);
  std::vector<Flat> Flatten(const Parts& parts);
  void FlattenMore(Flat flat, std::vector<Part> open, std::vector<Flat>& out);
  void CheckOneOf(const Schema& schema);

  void AddLiterals(RuleId rule, const Flat& flat);
  void AddNumber(RuleId rule, const Flat& flat, bool only_integers);
  void AddString(RuleId rule, const Flat& flat);
  void AddArray(RuleId rule, const Flat& flat);
  void AddObject(RuleId rule, const Flat& flat);
  RuleId StringOfLength(std::uint64_t low, std::uint64_t high);
  std::vector<Sequence> NumberForms(const NumberLimits& limits, bool only_integers, const std::string& pointer);
  RuleId AdditionalName(const std::vector<std::string>& declared);
  Symbol Space();

  Grammar& grammar_;
  const bool for_overlap_;
  std::map<Parts, RuleId> rules_;
  std::deque<std::pair<RuleId, Parts>> open_;
  std::set<const Schema*> checked_;
  std::optional<RuleId> space_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, RuleId> strings_;  // by length, without patterns
  std::map<std::string, std::vector<Sequence>> numbers_;               // by what bounds them
};

}  // namespace allod::inference::schema
