// Rows as domain values: reads the fields of one row from left to right, in the order of a column list.
//
//   RowReader row(rows[0]);
//   row.Into(out.id, out.display_name, out.create_time);
//
// What is read into says how: text into std::string, numbers and booleans into theirs, uuid into Uuid or TenantId, an
// integer of 10^-12 into Amount, microseconds (pg/micros.h) into Time, an array of one dimension into a vector of
// strings, a word into an enum (pg/words.h), and any of them, or NULL, into an optional. What is not that is thrown and
// becomes INTERNAL in PgPool::Run: the database's own constraints forbid it.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <type_traits>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/pg/words.h"

namespace allod {

class RowReader {
 public:
  explicit RowReader(const pqxx::row& row) : row_(row) {}

  template <typename... Ts>
  void Into(Ts&... outs) {
    (Read(outs), ...);
  }
  template <typename T>
  T Next() {
    T out{};
    Read(out);
    return out;
  }
  bool NextIsNull() const { return row_[next_].is_null(); }
  void Skip(int columns) { next_ += columns; }

 private:
  pqxx::field Field() { return row_[next_++]; }
  void Read(std::string& out) { out = Field().as<std::string>(); }
  void Read(Uuid& out);
  void Read(TenantId& out) { Read(out.value); }
  void Read(Amount& out);
  void Read(Time& out);
  void Read(std::vector<std::string>& out);
  template <typename T>
  requires std::is_arithmetic_v<T>
  void Read(T& out) { out = Field().as<T>(); }
  template <HasRowWords Enum>
  void Read(Enum& out) {
    out = FromRowWord<Enum>(Field().as<std::string>());
  }
  template <typename T>
  void Read(std::optional<T>& out) {
    out.reset();
    if (NextIsNull()) return Skip(1);
    Read(out.emplace());
  }

  const pqxx::row row_;
  int next_ = 0;
};

// The first row of a result that has one.
template <typename Read>
auto ReadFirst(const pqxx::result& rows, Read&& read) {
  RowReader row(rows.at(0));
  return read(row);
}

// The first row, or nothing.
template <typename Read>
auto ReadOne(const pqxx::result& rows, Read&& read) -> std::optional<decltype(ReadFirst(rows, read))> {
  if (rows.empty()) return std::nullopt;
  return ReadFirst(rows, read);
}

// Every row of a result, each by `read(RowReader&)`.
template <typename Read>
auto ReadAll(const pqxx::result& rows, Read&& read) {
  std::vector<std::decay_t<std::invoke_result_t<Read&, RowReader&>>> out;
  out.reserve(rows.size());
  for (const pqxx::row& fields : rows) {
    RowReader row(fields);
    out.push_back(read(row));
  }
  return out;
}

}  // namespace allod
