-- A household ledger in SQLite: double entry in three tables, and the reports people ask for.
--
-- Amounts are integers of cents. Floating point cannot hold 0.10 exactly, and a ledger that is off by a cent is off.

PRAGMA foreign_keys = ON;

CREATE TABLE account (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,                 -- 'Current account', 'Groceries', 'Rent', 'Salary'
    kind  TEXT NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense'))
);

CREATE TABLE entry (
    id      INTEGER PRIMARY KEY,
    booked  TEXT NOT NULL CHECK (booked GLOB '????-??-??'),
    memo    TEXT NOT NULL DEFAULT ''
);

-- Every entry has at least two postings, and they add up to zero: money is never made, it only moves.
CREATE TABLE posting (
    entry_id    INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    account_id  INTEGER NOT NULL REFERENCES account (id),
    cents       INTEGER NOT NULL CHECK (cents <> 0),
    PRIMARY KEY (entry_id, account_id)
) WITHOUT ROWID;

CREATE INDEX posting_by_account ON posting (account_id, entry_id);

-- Entries that do not balance. An empty result is a clean book.
CREATE VIEW unbalanced AS
SELECT entry_id, SUM(cents) AS off_by
FROM posting
GROUP BY entry_id
HAVING SUM(cents) <> 0;

-- Running balance: a window function adds up all rows of the account so far, in order of date. The entry id breaks ties
-- within a day, otherwise two postings on one date would both show the sum of that date.
CREATE VIEW statement AS
SELECT a.name AS account, e.booked, e.memo, p.cents,
       SUM(p.cents) OVER (PARTITION BY p.account_id ORDER BY e.booked, e.id) AS balance
FROM posting p
JOIN entry e ON e.id = p.entry_id
JOIN account a ON a.id = p.account_id;

-- Spending per month and category, with the share of that month's total.
CREATE VIEW monthly_spending AS
SELECT strftime('%Y-%m', e.booked) AS month, a.name AS category, SUM(p.cents) AS cents,
       ROUND(100.0 * SUM(p.cents) / SUM(SUM(p.cents)) OVER (PARTITION BY strftime('%Y-%m', e.booked)), 1) AS percent
FROM posting p
JOIN entry e ON e.id = p.entry_id
JOIN account a ON a.id = p.account_id
WHERE a.kind = 'expense'
GROUP BY month, a.id;
