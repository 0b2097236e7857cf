-- For SQLite and PostgreSQL.
CREATE TABLE products (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    cents BIGINT NOT NULL,
    stock BIGINT NOT NULL
);

CREATE TABLE orders (
    reservation BIGINT PRIMARY KEY,
    product BIGINT NOT NULL,
    quantity BIGINT NOT NULL
);

INSERT INTO products (id, name, cents, stock) VALUES
    (1, 'Apples', 249, 40),
    (2, 'Bread', 320, 40),
    (3, 'Butter', 289, 40),
    (4, 'Carrots', 129, 40),
    (5, 'Cheese', 599, 40),
    (6, 'Chocolate', 199, 40),
    (7, 'Coffee', 749, 40),
    (8, 'Eggs', 359, 40),
    (9, 'Flour', 99, 40),
    (10, 'Honey', 679, 40),
    (11, 'Lemons', 149, 40),
    (12, 'Milk', 139, 40),
    (13, 'Noodles', 119, 40),
    (14, 'Olives', 299, 40),
    (15, 'Onions', 109, 40),
    (16, 'Pears', 279, 40),
    (17, 'Rice', 189, 40),
    (18, 'Salt', 79, 40),
    (19, 'Tea', 429, 40),
    (20, 'Walnuts', 499, 40);
