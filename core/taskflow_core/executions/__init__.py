"""Executions of workflows: started, advanced with every task that ends, steered and watched."""
