#include "services/common/pg/row_reader.h"

#include <stdexcept>
#include <tuple>

#include "services/common/pg/micros.h"

namespace allod {
namespace {

template <typename T>
T Sound(Result<T> value) {
  if (!value) throw std::runtime_error("malformed value in the database: " + value.error().message);
  return *std::move(value);
}

}  // namespace

void RowReader::Read(Uuid& out) { out = Sound(Uuid::Parse(Field().c_str())); }

void RowReader::Read(Amount& out) { out = Sound(Amount::ParsePico(Field().c_str())); }

void RowReader::Read(Time& out) { out = FromMicros(Field().as<std::int64_t>()); }

void RowReader::Read(std::vector<std::string>& out) {
  using Parser = pqxx::array_parser;
  out.clear();
  const pqxx::field field = Field();
  if (field.is_null()) throw std::runtime_error("NULL in the place of an array");
  Parser parser = field.as_array();
  for (auto [what, text] = parser.get_next(); what != Parser::done; std::tie(what, text) = parser.get_next()) {
    if (what == Parser::null_value) throw std::runtime_error("NULL in an array");
    if (what == Parser::string_value) out.push_back(std::move(text));
  }
}

}  // namespace allod
